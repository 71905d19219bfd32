"""A guest book in memory. Serve it with `devserver run` in this folder."""

from flask import Flask, redirect, render_template, request, url_for

app = Flask(__name__)
entries: list[str] = []


@app.get("/")
def index():
    return render_template("index.html", entries=entries)


@app.post("/")
def sign():
    entry = request.form["entry"].strip()
    if entry:
        entries.append(entry)
    return redirect(url_for("index"))
