"""Speed, fenced: nothing here changes an answer, everything is called explicitly and can be switched off."""
