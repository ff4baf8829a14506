"""The sandbox's own page: what it is, what it holds, and what about it is made up."""

from __future__ import annotations

from jinja2 import Environment

_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rekindle provider sandbox</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }
  dt { font-weight: 600; } dd { margin: 0; font-variant-numeric: tabular-nums; }
  button { font: inherit; padding: .4rem 1rem; } code { font-size: .95em; }
</style>
</head>
<body>
<h1>Rekindle provider sandbox</h1>
<p>This process answers like <strong>SendGrid</strong> and <strong>Twilio</strong> on this machine only. No message
leaves it and nobody real is behind it: mailboxes, handsets, delays, bounces{% if people_react %}, clicks, replies,
complaints{% endif %} and line types are <strong>made up</strong> from seed {{ seed }}. Signatures, error codes, paging
and number validity are the real thing.</p>
<h2>Now</h2>
<dl>
  <dt>Clock</dt><dd>{{ now }}</dd>
  <dt>E-mails accepted</dt><dd>{{ mails }}</dd>
  <dt>Text messages accepted</dt><dd>{{ texts }}</dd>
  <dt>Pending</dt><dd>{{ pending }}{% if next_due %} (next due {{ next_due }}){% endif %}</dd>
  <dt>Opted out by text</dt><dd>{{ opted_out }}</dd>
  <dt>Suppressed addresses</dt>
  <dd>{% for name, count in suppressed.items() %}{{ name }} {{ count }}{{ "" if loop.last else ", " }}{% endfor %}</dd>
  <dt>People</dt><dd>{% if people_react %}persuadable{% else %}none react{% endif %}</dd>
  <dt>Callbacks go to</dt><dd>{{ receiver }}</dd>
  <dt>Faults in force</dt><dd>{{ faults }}</dd>
</dl>
<p>Callbacks wait for the logical clock: step it, then deliver what has come due.</p>
<form method="post" action="/_sandbox/deliver"><button>Deliver what is due</button></form>
<h2>Look inside</h2>
<ul>
  <li><a href="/_sandbox/messages?limit=50"><code>/_sandbox/messages</code></a> every accepted message</li>
  <li><a href="/_sandbox/requests"><code>/_sandbox/requests</code></a> requests by endpoint and status</li>
  <li><a href="/_sandbox/faults"><code>/_sandbox/faults</code></a> rules in force; POST a list, DELETE to clear</li>
</ul>
</body>
</html>
""")


def render_page(**facts: object) -> str:
    return _PAGE.render(**facts)
