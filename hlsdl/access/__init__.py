"""Access (pure): who may be asked for what, and what they are told about us.

URLs and addresses, the gate that every request passes, cookies and credentials with their scope, proxies, limits.
It decides; `transfer` asks it before every request and obeys.
"""
