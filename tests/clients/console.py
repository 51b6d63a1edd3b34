"""The console without a browser: pages are read, forms are filled in and sent as a browser would."""

import dataclasses
import html.parser
import urllib.parse

import requests


@dataclasses.dataclass
class Form:
    action: str
    method: str
    fields: dict


class _Forms(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.open, self.select, self.area = [], None, None, None
        self.words = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.open = Form(attrs.get("action", ""), attrs.get("method", "get").lower(), {})
            self.forms.append(self.open)
        elif self.open is None:
            return
        elif tag == "input" and attrs.get("name") and attrs.get("type") not in ("submit", "checkbox", "radio"):
            self.open.fields[attrs["name"]] = attrs.get("value", "")
        elif tag == "input" and attrs.get("name") and "checked" in attrs:
            self.open.fields[attrs["name"]] = attrs.get("value", "on")
        elif tag == "select":
            self.select = attrs.get("name")
        elif tag == "option" and self.select:
            if "selected" in attrs or self.select not in self.open.fields:
                self.open.fields[self.select] = attrs.get("value", "")
        elif tag == "textarea":
            self.area = attrs.get("name")
            self.open.fields[self.area] = ""

    def handle_endtag(self, tag):
        if tag == "form":
            self.open = None
        elif tag == "select":
            self.select = None
        elif tag == "textarea":
            self.area = None

    def handle_data(self, data):
        self.words.append(data)
        if self.open is not None and self.area:
            self.open.fields[self.area] += data


class Page:
    def __init__(self, answer):
        self.status, self.url, self.headers, self.body = answer.status_code, answer.url, answer.headers, answer.content
        read = _Forms()
        if "html" in self.headers.get("content-type", ""):
            read.feed(answer.text)
        self.forms = read.forms
        self.text = " ".join(" ".join(read.words).split())

    def form(self, part, **fields):
        """The form whose address holds `part` and whose fields have these values."""
        for form in self.forms:
            if part in form.action and all(form.fields.get(k) == v for k, v in fields.items()):
                return form
        raise AssertionError(f"no form to `{part}` with {fields} on {self.url}: {self.text[:600]}")


class Console:
    """One visitor with his cookies."""

    def __init__(self, house, lang="en"):
        self.base = house.console
        self.web = requests.Session()
        self.web.trust_env = False
        self.web.headers["accept-language"] = lang

    def get(self, path):
        return Page(self.web.get(urllib.parse.urljoin(self.base, path), timeout=30))

    def send(self, page, form, **fields):
        assert form.method == "post"
        return Page(
            self.web.post(
                urllib.parse.urljoin(page.url, form.action), data={**form.fields, **fields}, timeout=30
            )
        )

    def login_tenant(self, tenant, user=None):
        who = tenant["user"] if user is None else {"name": "root", "password": tenant["root"]["password"]}
        page = self.get("/login")
        return self.send(
            page, page.form("/login/tenant"), tenant=tenant["alias"], user=who["name"], password=who["password"]
        )

    def login_operator(self, operator):
        page = self.get("/login")
        return self.send(page, page.form("/login/operator"), operator=operator["id"], password=operator["password"])


def operator_at(house, name="op-lin"):
    """An operator who is signed in."""
    desk = Console(house)
    page = desk.login_operator(house.operator(name))
    assert page.status == 200, page.text
    return desk


def tenant_at(house, alias="acme"):
    """A tenant's user who is signed in."""
    console = Console(house)
    page = console.login_tenant(house.tenant(alias))
    assert page.status == 200, page.text
    return console


def operator_reads(desk, house, key, alias="acme", **fields):
    """The operator opens an object from the ticket's page; what the console answers."""
    ticket = next(t for t in house.facts["tickets"] if t["tenant"] == alias)
    page = desk.get(f"/desk/tickets/{ticket['id']}/data/{house.bucket(alias)}")
    return desk.send(page, page.form("/read", key=key), **fields)


def consented(house, key, alias="acme", **fields):
    """The whole way to a grant: the operator asks, the tenant approves. Returns (desk, tenant's console)."""
    desk, tenant = operator_at(house), tenant_at(house, alias)
    refused = operator_reads(desk, house, key, alias)
    assert refused.status == 403 and "consent" in refused.text, refused.text
    asked = desk.send(refused, refused.form("/ask"), reason="the file opens blank", **fields)
    assert asked.status == 200, asked.text
    page = tenant.get("/console/consent")
    approved = tenant.send(page, page.form("/approve"))
    assert approved.status == 200, approved.text
    return desk, tenant
