"""`python manage.py runserver`, served by devserver: an app for INSTALLED_APPS, above `django.contrib.staticfiles`.

Nothing of it is needed for `devserver run`. Runs in the process of manage.py, which it replaces.
"""
