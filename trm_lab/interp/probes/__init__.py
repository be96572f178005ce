"Studies of the latents, with controls."
