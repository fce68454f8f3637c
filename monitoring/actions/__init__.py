"""Acting on instruments: asked by people, carried out by tasks, ended by what MyCirrus then shows."""
