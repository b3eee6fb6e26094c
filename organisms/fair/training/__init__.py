"""Training the organisms: the trunk, its bases, reinforcement learning and fine-tuning, and whole families of them."""
