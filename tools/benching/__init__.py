"""What `tools/bench` is made of: inputs, servers, peers, a stopwatch, and the page that says what came out.

Everything runs on loopback; nothing here is part of hlsdl or imported by it.
"""
