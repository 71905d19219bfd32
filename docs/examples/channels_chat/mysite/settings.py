"""Settings of an example that only ever runs on a developer's machine."""

# Public, because the example is: a project that is deployed reads its own from the environment.
SECRET_KEY = "django-insecure-example-for-development-only"
DEBUG = True
ALLOWED_HOSTS: list[str] = []  # with DEBUG: localhost and its like

INSTALLED_APPS = [
    "daphne",  # above staticfiles, as Channels asks
    "django.contrib.staticfiles",
    "channels",
    "chat",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]

ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES: dict[str, dict[str, object]] = {}
USE_TZ = True
STATIC_URL = "static/"
