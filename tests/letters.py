"""Second opinions on letters: Python's own `email` with its strict policy, mailparser, dkimpy.

Reads {"letters": [{"path", "subject", "name", "is_utf8"}], "records": {name: text}} and prints what it found wrong, one
sentence each, as a JSON list. `is_utf8`: the address needs SMTPUTF8 (RFC 6532), so the header may hold UTF-8.
"""
import base64, email, email.header, email.policy, email.utils, html.parser, json, re, sys

import dkim, mailparser

LINE_MAX, LINE_WISH, WORD_MAX = 998, 78, 75  # RFC 5322 section 2.1.1, RFC 2047 section 2
ONCE = """date from to subject message-id list-id list-help list-unsubscribe list-unsubscribe-post auto-submitted
    feedback-id mime-version content-type content-language""".split()
VOID = {"meta", "img", "br", "hr", "col", "wbr"}


class Page(html.parser.HTMLParser):
    """Balance of elements, links and pictures."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.wrong = [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if tag == "img" and "alt" not in attributes:
            self.wrong.append("a picture without alt")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")


def lines(raw, is_utf8):
    head, _, body = raw.partition(b"\r\n\r\n")
    if b"\n" in raw.replace(b"\r\n", b"") or b"\r" in raw.replace(b"\r\n", b""):
        yield "a bare CR or LF"
    if not is_utf8 and any(byte > 126 or byte < 9 for byte in raw):
        yield "an octet outside ASCII"
    for line in head.split(b"\r\n"):
        # A line that is one token can't be folded.
        if len(line) > LINE_MAX or (len(line) > LINE_WISH and b" " in line.strip().partition(b": ")[2]):
            yield f"a header line of {len(line)} octets: {line[:40]}"
    for line in body.split(b"\r\n"):
        if len(line) > LINE_WISH:
            yield f"a line of {len(line)} octets in the body"
    for word in re.findall(rb"=\?[^?]+\?[BQbq]\?[^?]*\?=", head):
        if len(word) > WORD_MAX:
            yield f"an encoded word of {len(word)} octets"
        base64.b64decode(word.split(b"?")[3], validate=True).decode("utf-8")  # whole characters


def by_email(raw, letter):
    policy = email.policy.strict.clone(linesep="\r\n", utf8=True)
    m = email.message_from_string(raw.decode("utf-8"), policy=policy)
    for name in ONCE:
        if len(m.get_all(name, [])) != 1:
            yield f"{name} stands there {len(m.get_all(name, []))} times"
    if "precedence" in m:
        yield "Precedence"
    if m["subject"] != letter["subject"]:
        yield f"the subject reads {m['subject']!r}"
    # The structured reader of Python 3.11 keeps the fold between two encoded words (bpo-35547), against RFC 2047 section
    # 6.2; the older one doesn't.
    name, _ = email.utils.parseaddr(email.message_from_string(raw.decode("utf-8"))["to"])
    if str(email.header.make_header(email.header.decode_header(name))) != letter["name"]:
        yield f"the name reads {name!r}"
    for name, value in m.items():
        for defect in value.defects:
            # RFC 6532 allows just this.
            if not (letter["is_utf8"] and type(defect).__name__ == "NonASCIILocalPartDefect"):
                yield f"{name}: {defect!r}"
    for part in m.walk():
        yield from (f"{part.get_content_type()}: {defect!r}" for defect in part.defects)
    both = m
    if m.get_content_type() == "multipart/mixed":
        both, calendar = m.iter_parts()
        file = calendar.get_content()
        if calendar.get_filename() != "events.ics" or calendar.get_param("method") != "PUBLISH":
            yield f"attached is {calendar['content-type']}"
        if file.count("BEGIN:VEVENT") == 0 or not file.endswith("END:VCALENDAR\r\n") or max(map(len, file.encode().split(b"\r\n"))) > 75:
            yield "the calendar is no calendar"
    if both.get_content_type() != "multipart/alternative":
        yield both.get_content_type()
    plain, rich = [part.get_content() for part in both.iter_parts()]
    page = Page()
    page.feed(rich)
    yield from page.wrong + [f"<{tag}> stays open" for tag in page.open]
    for link in page.links:
        if not link.startswith("#") and link.removeprefix("mailto:") not in plain:
            yield f"{link} isn't in the text part"
    if any(0x10FFF0 <= ord(c) for c in plain + rich):
        yield "a mark was left"


def by_mailparser(raw, letter):
    m = mailparser.parse_from_bytes(raw)
    yield from (f"mailparser: {defect}" for defect in m.defects)
    # It doesn't unfold what isn't encoded (RFC 5322 section 2.2.3).
    if re.sub(r"\r\n(?=[ \t])", "", m.subject) != letter["subject"]:
        yield f"mailparser reads the subject {m.subject!r}"
    if len(m.text_plain) != 1 or len(m.text_html) != 1:
        yield "mailparser doesn't find both parts"


def by_dkim(raw, records):
    dns = lambda name, timeout=5: records.get(name.decode().rstrip("."), "").encode() or None
    fields = [value for name, value in dkim.DKIM(raw).headers if name.lower() == b"dkim-signature"]
    algorithms = []
    for index, field in enumerate(fields):
        tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s+", "", field.decode())))
        algorithms.append(tags["a"])
        if not dkim.DKIM(raw).verify(index, dnsfunc=dns):
            yield f"{tags['a']} doesn't verify"
        signed = tags["h"].lower().split(":")
        missing = [name for name in ONCE if name not in signed]
        if missing or "l" in tags or signed.count("from") != 2:
            yield f"h= lacks {missing}, or l= is there, or From isn't named twice"
    if sorted(algorithms) != ["ed25519-sha256", "rsa-sha256"]:
        yield f"signed by {algorithms}"


def main():
    asked, wrong = json.load(sys.stdin), []
    for letter in asked["letters"]:
        raw = open(letter["path"], "rb").read()
        try:
            found = [*lines(raw, letter["is_utf8"]), *by_email(raw, letter), *by_dkim(raw, asked["records"])]
            # mailparser knows nothing of RFC 6532.
            found += [] if letter["is_utf8"] else by_mailparser(raw, letter)
        except Exception as error:
            found = [repr(error)]
        wrong += [f"{letter['path']}: {one}" for one in found]
    print(json.dumps(wrong))


main()
