"""Sizes of real projects: packages and the bytes of their wheels, in kB."""

from __future__ import annotations

from poetry_docker_cache.sizes.package_sizes import SizedPackage

WEB_API = {
    "native": """aiohttp 1800 cffi 480 cryptography 4400 greenlet 610 httptools 480 markupsafe 23
        numpy 16600 orjson 135 psycopg-binary 4900 pydantic-core 2050 pyyaml 800 sqlalchemy 3300
        uvloop 4300 watchfiles 450 websockets 180""",
    "pure": """alembic 247 anyio 107 certifi 160 click 107 dnspython 331 fastapi 110 h11 37 httpx 73
        idna 71 jinja2 135 mako 78 pydantic 460 starlette 73 typing-extensions 45 uvicorn 68""",
}
"""30 packages, 43 MB."""

DATA = {
    "native": """aiohttp 1800 cffi 480 charset-normalizer 150 contourpy 360 cryptography 4400
        debugpy 4300 fonttools 4900 frozenlist 240 greenlet 610 kiwisolver 1470 llvmlite 42400
        lxml 5200 markupsafe 23 matplotlib 8700 multidict 250 numba 3900 numpy 16600 orjson 135
        pandas 12400 pillow 7000 polars 36000 propcache 200 psutil 290 pyarrow 47700
        pydantic-core 2050 pyyaml 800 pyzmq 860 regex 800 rpds-py 390 scikit-learn 8900
        scipy 35700 sqlalchemy 3300 statsmodels 10500 tornado 440 yarl 350 zstandard 5400""",
    "pure": """aiobotocore 78 alembic 247 annotated-types 14 attrs 64 boto3 140 botocore 13800
        certifi 160 click 107 cycler 8 fsspec 200 idna 71 jinja2 135 jmespath 20 joblib 300
        jsonschema 90 mako 78 markdown-it-py 88 mdurl 10 mpmath 536 narwhals 400 networkx 2000
        packaging 67 patsy 233 plotly 9800 pydantic 460 pygments 1230 pyparsing 114
        python-dateutil 230 pytz 509 referencing 27 requests 65 rich 243 s3fs 30 seaborn 295 six 11
        sympy 6300 threadpoolctl 18 tqdm 78 typing-extensions 45 tzdata 347 urllib3 129""",
}
"""77 packages, 309 MB."""

DJANGO = {
    "native": """brotli 3000 cffi 480 charset-normalizer 150 cryptography 4400 hiredis 170 lxml 5200
        markupsafe 23 pillow 7000 psycopg2-binary 4300 pyyaml 800""",
    "pure": """amqp 51 asgiref 24 billiard 86 celery 440 certifi 160 click 107 click-didyoumean 4
        click-plugins 8 click-repl 10 django 8300 django-allauth 1400 django-cors-headers 13
        django-filter 94 djangorestframework 1070 gunicorn 85 idna 71 jinja2 135 kombu 200
        oauthlib 160 packaging 67 prompt-toolkit 386 pyjwt 23 python-dateutil 230 redis 272
        requests 65 sentry-sdk 404 six 11 sqlparse 44 tzdata 347 urllib3 129 vine 27
        whitenoise 20""",
}
"""42 packages, 40 MB."""


def sized(table: dict[str, str]) -> list[SizedPackage]:
    """Return the packages of a table."""
    return [
        SizedPackage(
            name=name,
            version="1.0",
            kind="native" if kind == "native" else "pure",
            size=int(size) * 1000,
            origin="index",
        )
        for kind, text in table.items()
        for name, size in zip(text.split()[::2], text.split()[1::2], strict=True)
    ]
