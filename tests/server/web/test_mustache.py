"""The templates of the server's own pages."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.web.mustache import Template, TemplateError


@pytest.mark.parametrize(
    ("source", "view", "text"),
    [
        ("a {{x}} b", {"x": "<&\"'>"}, "a &lt;&amp;&quot;&#x27;&gt; b"),
        ("{{x}}", {"x": 0}, "0"),
        ("{{#x}}[{{a}}{{b}}]{{/x}}", {"x": [{"a": 1}, {"a": 2}], "b": "!"}, "[1!][2!]"),
        ("{{#x}}{{.}},{{/x}}", {"x": ["<", "b"]}, "&lt;,b,"),
        ("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {"x": "something"}, "yes"),
        ("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {"x": ""}, "no"),
        ("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {"x": []}, "no"),
        ("{{#x}}{{a}}{{/x}}", {"x": {"a": 1}, "a": 2}, "1"),
        ("{{#x}}{{#x}}{{a}}{{/x}}{{/x}}", {"x": [{"a": 1, "x": [{"a": 3}]}]}, "3"),
        ("1\n  {{#x}}\n2\n  {{/x}}\n3", {"x": True}, "1\n2\n3"),
        ("{ {x} } {{ }} {{{", {}, "{ {x} } {{ }} {{{"),
    ],
)
def test_rendering(source: str, view: dict[str, object], text: str) -> None:
    assert Template(source).render(view) == text


def test_partials() -> None:
    assert Template("{{>a}}{{>a}}", {"a": "<{{x}}>"}).render({"x": 1}) == "<1><1>"


@pytest.mark.parametrize("source", ["{{#x}}", "{{/x}}", "{{#x}}{{/y}}", "{{#x}}{{#y}}{{/x}}{{/y}}"])
def test_malformed(source: str) -> None:
    with pytest.raises(TemplateError):
        Template(source)


def test_a_name_that_no_view_has_is_an_error() -> None:
    with pytest.raises(TemplateError, match="nothing is called nmae"):
        Template("{{nmae}}").render({"name": 1})


@given(st.text())
def test_no_value_becomes_markup_or_template(text: str) -> None:
    rendered = Template("<p>{{x}}</p>").render({"x": text})
    assert html.unescape(rendered[3:-4]) == html.unescape(html.escape(text))
    assert not set('<>"') & set(rendered[3:-4])
