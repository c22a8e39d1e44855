#!/usr/bin/env python3
"""A token server for a registry with `auth: token` (distribution's spec/auth/token.md), on loopback, for tests.

    token_server.py --key key.pem --cert cert.pem --user joe:s3cret [--refresh TOKEN] [--lifetime 300] [--log FILE]

Prints "listening PORT" once it answers GET and POST /token. Who shows the user's password (Basic) or the refresh token
gets whatever is asked for; anybody else may pull from public/…; wrong credentials get 401. Every request adds one JSON
line to the log. Tokens are JWTs signed by the `openssl` program (RS256, certificate in x5c)."""
import argparse
import base64
import http.server
import json
import subprocess
import time
import urllib.parse

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--key", required=True)
arguments.add_argument("--cert", required=True)
arguments.add_argument("--user", required=True)
arguments.add_argument("--refresh", default="")
arguments.add_argument("--issuer", default="test-issuer")
arguments.add_argument("--lifetime", type=int, default=300)
arguments.add_argument("--log", default="/dev/null")
options = arguments.parse_args()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate():
    lines = open(options.cert).read().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    return "".join(lines.split())


def sign(claims):
    header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate()]}
    text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", options.key], input=text.encode(),
                               stdout=subprocess.PIPE, check=True).stdout
    return text + "." + b64(signature)


def access(scopes, known):
    granted = []
    for scope in scopes:
        kind, name, actions = scope.split(":", 2)
        actions = [a for a in actions.split(",") if known or (a == "pull" and name.startswith("public/"))]
        if actions:
            granted.append({"type": kind, "name": name, "actions": actions})
    return granted


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def token(self, query, known):
        scopes = [one for value in query.get("scope", []) for one in value.split(" ") if one]
        now = int(time.time())
        claims = {"iss": options.issuer, "sub": "test", "aud": query.get("service", [""])[0], "exp": now + options.lifetime,
                  "nbf": now - 10, "iat": now, "jti": str(time.time_ns()), "access": access(scopes, known)}
        with open(options.log, "a") as log:
            log.write(json.dumps({"method": self.command, "known": known, "scopes": scopes}) + "\n")
        self.answer(200, {"token": sign(claims), "expires_in": options.lifetime})

    def do_GET(self):
        shown = self.headers.get("Authorization")
        if shown and shown != "Basic " + base64.b64encode(options.user.encode()).decode():
            return self.answer(401, {"details": "incorrect username or password"})
        self.token(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query), bool(shown))

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != [options.refresh]:
            return self.answer(401, {"error": "invalid_grant"})
        self.token(form, True)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
