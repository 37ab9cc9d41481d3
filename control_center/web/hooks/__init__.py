"""What providers call: each call is verified by its provider's signature before anything in it is believed."""
