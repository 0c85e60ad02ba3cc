"""The doors that browsers come through: sockets, the JSON API, the console and the demo page."""
