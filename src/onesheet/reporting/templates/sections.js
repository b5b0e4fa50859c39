const unfold = () => {
  const section = location.hash && document.getElementById(location.hash.slice(1));
  const details = section && section.querySelector(":scope > details");
  if (details) { details.open = true; section.scrollIntoView(); }
};
for (const link of document.querySelectorAll(".sections a")) link.addEventListener("click", () => setTimeout(unfold));
addEventListener("hashchange", unfold);
unfold();
for (const hint of document.querySelectorAll(".scripted")) hint.style.display = "inline";
