"""`loyalty pos`: terminals that play a station day over HTTP, through the reference client, and compare every total at the end."""
