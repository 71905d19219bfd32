from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from notes.forms import NoteForm
from notes.models import Note

HEADING = "Notes"  # change it, save, and reload the page


@require_http_methods(["GET", "HEAD", "POST"])
def index(request):
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("notes:index")
    return render(request, "notes/index.html", {"heading": HEADING, "form": form, "notes": Note.objects.all()[:50]})
