"""The page of all pieces: every piece in every state, for whoever builds or checks a page."""
