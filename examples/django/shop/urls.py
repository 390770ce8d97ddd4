"""One page, which names its style sheet by its hash."""

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import path


def home(_request: HttpRequest) -> HttpResponse:
    """Show the home page."""
    return HttpResponse(f'<link rel="stylesheet" href="{static("shop.css")}">Welcome')


urlpatterns = [path("", home)]
