"""A guest book."""

from flask import Flask, render_template


def create_app() -> Flask:
    """Create the application."""
    app = Flask(__name__)

    @app.get("/")
    def entries() -> str:
        """Show the entries."""
        return render_template("entries.html", entries=["Ada was here"])

    return app
