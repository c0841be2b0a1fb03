"""The forms of the quizzes' back office."""

from django import forms
from unfold.widgets import UnfoldAdminFileFieldWidget

LARGEST_FILE = 5 * 1024 * 1024


class DocumentForm(forms.Form):
    """An author's document as JSON, and the text that it began from, or knowingly replaces."""

    document = forms.CharField(strip=False)
    began = forms.CharField(required=False)
    instead = forms.CharField(required=False)


class ImportForm(forms.Form):
    file = forms.FileField(
        label="Quiz document",
        help_text="One JSON file with all languages, up to 5 MiB.",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": "application/json,.json"}),
    )

    def clean_file(self) -> bytes:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError("The file is larger than 5 MiB.")
        content: bytes = file.read()
        return content
