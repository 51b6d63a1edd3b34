"""Writes the fixtures that `crates/federation` is compared with: what other implementations sign and canonicalise.

    python3 -m venv v && v/bin/pip install signxml==5.2.0 xmlsec==1.3.17 pysaml2==7.5.5
    v/bin/python tests/oracles/make_saml.py crates/federation/tests/it

pysaml2 writes the responses, signxml (Python) and libxmlsec1 (C) sign them with the test key `keys/issuer.pk8`, libxml2
canonicalises. All fixtures are made here, with keys of our own; nothing is taken from elsewhere. The files are checked
in, so that `cargo test` needs no Python; the seed is fixed.
"""

import base64
import json
import pathlib
import random
import subprocess
import sys

import signxml
import xmlsec
from lxml import etree
from saml2 import saml, samlp

SIGNED_AT = "2027-01-15T07:59:59Z"
IDP, SP, ACS = "https://idp.example/metadata", "https://trust.example/saml", "https://trust.example/saml/acs"
NS = {"saml": saml.NAMESPACE, "samlp": samlp.NAMESPACE, "ds": "http://www.w3.org/2000/09/xmldsig#"}
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def response() -> etree._Element:
    """A response as pysaml2 writes it: `ns0`, `ns1`, typed attribute values."""
    value = saml.AttributeValue()
    value.set_text("Lin Müller <r & d>")
    assertion = saml.Assertion(
        id="_assertion",
        version="2.0",
        issue_instant=SIGNED_AT,
        issuer=saml.Issuer(text=IDP),
        subject=saml.Subject(
            name_id=saml.NameID(format=saml.NAMEID_FORMAT_PERSISTENT, text="lin@acme.example"),
            subject_confirmation=[
                saml.SubjectConfirmation(
                    method=saml.SCM_BEARER,
                    subject_confirmation_data=saml.SubjectConfirmationData(
                        not_on_or_after="2027-01-15T08:05:00Z", recipient=ACS, in_response_to="_request"
                    ),
                )
            ],
        ),
        conditions=saml.Conditions(
            not_before="2027-01-15T07:59:00Z",
            not_on_or_after="2027-01-15T08:10:00Z",
            audience_restriction=[saml.AudienceRestriction(audience=[saml.Audience(text=SP)])],
        ),
        authn_statement=[
            saml.AuthnStatement(
                authn_instant=SIGNED_AT,
                session_index="_s1",
                authn_context=saml.AuthnContext(
                    authn_context_class_ref=saml.AuthnContextClassRef(text=saml.AUTHN_PASSWORD)
                ),
            )
        ],
        attribute_statement=[
            saml.AttributeStatement(attribute=[saml.Attribute(name="displayName", attribute_value=[value])])
        ],
    )
    whole = samlp.Response(
        id="_response",
        version="2.0",
        issue_instant=SIGNED_AT,
        destination=ACS,
        in_response_to="_request",
        issuer=saml.Issuer(text=IDP),
        status=samlp.Status(status_code=samlp.StatusCode(value=samlp.STATUS_SUCCESS)),
        assertion=[assertion],
    )
    return etree.fromstring(whole.to_string())


def by_signxml(root, target, key, certificate, algorithm="rsa-sha256"):
    """Signs `target` in `root`; the signature goes behind the issuer."""
    signer = signxml.XMLSigner(
        method=signxml.methods.enveloped,
        signature_algorithm=algorithm,
        digest_algorithm="sha256",
        c14n_algorithm=EXCLUSIVE,
    )
    place = etree.Element(etree.QName(NS["ds"], "Signature"), Id="placeholder", nsmap={"ds": NS["ds"]})
    target.insert(1, place)
    signed = signer.sign(
        target,
        key=key,
        cert=certificate,
        reference_uri=target.get("ID"),
        id_attribute="ID",
    )
    if target is root:
        return signed
    target.getparent().replace(target, signed)
    return root


def by_xmlsec(root, target, key_pem, prefixes=None):
    """The same with libxmlsec1."""
    template = xmlsec.template.create(target, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256, ns="dsig")
    target.insert(1, template)
    reference = xmlsec.template.add_reference(template, xmlsec.Transform.SHA256, uri="#" + target.get("ID"))
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    c14n = xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    if prefixes:
        xmlsec.template.transform_add_c14n_inclusive_namespaces(c14n, prefixes)
    xmlsec.tree.add_ids(root, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key_pem, xmlsec.KeyFormat.PEM, None)
    context.sign(template)
    return root


def spread(root):
    """Line breaks and indentation before signing, as some providers have them."""
    etree.indent(root, "  ")
    return root


def write(folder, name, root, declaration=False):
    text = etree.tostring(root, encoding="UTF-8", xml_declaration=declaration)
    # What another implementation does not accept would prove nothing.
    again = etree.fromstring(text)
    xmlsec.tree.add_ids(again, ["ID"])
    certificate = "p256" if "ecdsa" in name else "issuer"
    for found in again.iter("{%s}Signature" % NS["ds"]):
        context = xmlsec.SignatureContext()
        der = (folder.parent / "keys" / f"{certificate}.crt").read_bytes()
        context.key = xmlsec.Key.from_memory(der, xmlsec.KeyFormat.CERT_DER, None)
        context.verify(found)
    (folder / f"{name}.xml").write_bytes(text)


def pem(folder, name):
    key = subprocess.run(
        ["openssl", "pkcs8", "-inform", "DER", "-nocrypt", "-in", folder / f"{name}.pk8"],
        check=True, capture_output=True,
    ).stdout
    body = base64.encodebytes((folder / f"{name}.crt").read_bytes()).decode()
    return key, f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


def random_xml(chance, depth=0):
    """An element with namespaces bound, bound again and taken back, attributes and text of all sorts."""
    prefixes = ["", "a", "b", "c"]
    bound = {"a": "u:1", "b": "u:2", "c": "u:3"}
    for prefix in prefixes:
        if depth and chance.random() < 0.4:
            bound[prefix] = chance.choice(["u:1", "u:2", "u:3", "u:4"] + ([""] if not prefix else []))
    # At the top all are bound; below, those that were bound again.
    declared = bound if depth == 0 else {p: u for p, u in bound.items() if u not in ("u:1", "u:2", "u:3") or chance.random() < 0.6}
    parts = []
    name = chance.choice(prefixes)
    parts.append(f"<{name + ':' if name else ''}e{depth}")
    for prefix, uri in declared.items():
        parts.append(f" xmlns{':' + prefix if prefix else ''}={chance.choice(['%s', '%s'])}" % json.dumps(uri))
    names = chance.sample(["x", "y", "z", "xml:lang", "a:p", "a:q", "b:r", "c:s"], chance.randrange(5))
    for attribute in names:
        value = "".join(chance.choices(["v", " ", "&amp;", "&lt;", "&quot;", "'", "&#9;", "&#10;", "&#13;", "\n", "\t", ">", "é", "𝕏"], k=4))
        parts.append(f' {attribute}="{value}"')
    parts.append(">")
    for _ in range(chance.randrange(4) if depth < 4 else 0):
        parts.append(chance.choice(["", "t", "\r\n", "&#13;", "<!-- c -->", "<![CDATA[<&>]]>", "&gt;", "ü", " "]))
        parts.append(random_xml(chance, depth + 1))
    parts.append(f"</{name + ':' if name else ''}e{depth}>")
    return "".join(parts)


def canonical_pairs(count):
    """Random documents; an element of each, prefixes to keep, and what libxml2 makes of it."""
    chance, pairs = random.Random(20270115), []
    while len(pairs) < count:
        text = random_xml(chance)
        try:
            root = etree.fromstring(text.encode())
        except etree.XMLSyntaxError:
            continue
        elements = [e for e in root.iter() if isinstance(e.tag, str)]
        at = chance.randrange(len(elements))
        prefixes = chance.sample(["a", "b", "c"], chance.randrange(3))
        # Cut out by itself, as a reference to an id does; namespaces around it stay in scope.
        found = etree.tostring(elements[at], method="c14n", exclusive=True, inclusive_ns_prefixes=prefixes or None, with_comments=False, with_tail=False)
        pairs.append([text, at, prefixes, found.decode()])
    return pairs


def main(folder):
    keys, out = folder / "keys", folder / "fixtures"
    key, certificate = pem(keys, "issuer")
    assertion = lambda root: root.find("saml:Assertion", NS)

    root = response()
    write(out, "signxml_assertion", by_signxml(root, assertion(root), key, certificate))
    root = response()
    write(out, "signxml_response", by_signxml(root, root, key, certificate), True)
    # As OpenSAML signs: the prefixes of attribute types are kept.
    root = response()
    write(out, "xmlsec_prefixes", by_xmlsec(root, assertion(root), key, ["xs", "xsi", "ns0", "#default"]))
    root = response()
    root = by_signxml(root, assertion(root), key, certificate)
    write(out, "signxml_both", by_signxml(root, root, key, certificate))
    root = spread(response())
    write(out, "xmlsec_assertion", by_xmlsec(root, assertion(root), key), True)
    root = spread(response())
    write(out, "xmlsec_response", by_xmlsec(root, root, key))
    ec_key, ec_certificate = pem(keys, "p256")
    root = response()
    write(out, "signxml_ecdsa", by_signxml(root, assertion(root), ec_key, ec_certificate, algorithm="ecdsa-sha256"))
    (out / "c14n.json").write_text(json.dumps(canonical_pairs(120), ensure_ascii=True, indent=0))


main(pathlib.Path(sys.argv[1]))
