"""Optional products on the core: each registers its own commands, and the core never imports them."""
