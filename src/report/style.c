/* The stylesheet. The palettes were chosen with simulated colour blindness (Machado, Oliveira,
 * Fernandes: "A physiologically-based model for simulation of color vision deficiency", 2009): every
 * two colours differ by at least 12 (CIE 1976) for deuteranopes, protanopes and tritanopes, the first
 * five by 15; contrast with the ground is at least 3.2. */
#include "report/html.h"

static const char *const sheet[] = {
    ":root{color-scheme:light dark;--ground:#fff;--ink:#1d2126;--soft:#667079;--rule:#e2e4e6;--track:#f0f1f2;"
    "--p0:#0b5fae;--p1:#d05400;--p2:#2f8c68;--p3:#8f1f70;--p4:#5f4300;--p5:#3a93e6;--p6:#33208a;--p7:#68757f;"
    "--bad:#b3261e}\n",
    "@media(prefers-color-scheme:dark){:root{--ground:#15181b;--ink:#e6e8ea;--soft:#98a1a9;--rule:#2d3237;"
    "--track:#22262a;--p0:#6aaef5;--p1:#f5703a;--p2:#45cf93;--p3:#b985b0;--p4:#f3da5a;--p5:#b3e6ff;--p6:#8f7ff5;--p7:#aab3ba;--bad:#ff8a80}}\n",
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 -apple-system,'Segoe UI',"
    "Roboto,'Helvetica Neue','Liberation Sans',Arial,sans-serif;-webkit-text-size-adjust:100%}"
    "main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}"
    "header{padding-top:44px}"
    ".over{margin:0;color:var(--soft);font-size:13px;letter-spacing:.02em}"
    "h1{margin:2px 0 6px;font-size:38px;line-height:1.15;font-weight:600;letter-spacing:-.02em;"
    "overflow-wrap:anywhere}"
    ".meta{margin:0;color:var(--soft);max-width:100ch;text-wrap:pretty}"
    ".digest{margin:4px 0 0;color:var(--soft);font-size:13px;overflow-wrap:anywhere}"
    "code,pre{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono',monospace;font-size:.93em}\n",
    "section{margin-top:52px}"
    "h2{margin:0 0 4px;font-size:21px;font-weight:600;letter-spacing:-.01em}"
    ".note{margin:0 0 14px;color:var(--soft);max-width:100ch;text-wrap:pretty}"
    "table+.note,.scroll+.note{margin:8px 0 0}"
    ".tiles{display:grid;grid-template-columns:2.1fr 1fr 1fr 1fr 1fr;margin:30px 0 0;"
    "border-top:1px solid var(--ink);border-bottom:1px solid var(--rule)}"
    ".tile{padding:14px 18px 16px;border-left:1px solid var(--rule);min-width:0}"
    ".tile:first-child{padding-left:0;border-left:0}"
    ".tile h3{margin:0;font-size:13px;font-weight:400;color:var(--soft)}"
    ".tile .big{margin:2px 0 0;font-size:27px;line-height:1.25;font-weight:600;letter-spacing:-.015em;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".tile .big span{font-weight:400;color:var(--soft)}"
    ".tile .sub{margin:2px 0 0;font-size:13px;color:var(--soft)}"
    ".versus{width:100%;margin-top:8px;font-size:13px}"
    ".versus th,.versus td{padding:1px 10px 1px 0;border:0}"
    ".versus .bars{width:100%;padding-right:0}\n",
    "figure,.wide,.narrow{margin:0;min-width:0}.narrow{display:none}"
    "figcaption{font-weight:600;margin-bottom:6px;color:var(--ink)}"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:26px 24px;margin-top:26px}"
    ".panels figcaption{color:currentColor}"
    ".pairs{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:28px 40px}"
    ".pairs>div{min-width:0}"
    "svg{display:block;width:100%}.chart{height:auto;overflow:visible}"
    "svg text{font-size:12px;fill:currentColor;font-variant-numeric:tabular-nums}"
    "svg .t{fill:var(--soft)}svg .e{text-anchor:end}svg .m{text-anchor:middle}svg .b{font-weight:700}"
    "svg .grid{stroke:var(--rule);fill:none}svg .axis{stroke:var(--soft);fill:none}"
    "svg .line{fill:none;stroke:currentColor;stroke-width:1.7;stroke-linejoin:round;stroke-linecap:round}"
    "svg .bold{stroke-width:2.4}svg .faint{stroke-width:1;opacity:.3}"
    "svg .level{fill:none;stroke:currentColor;stroke-dasharray:5 4;stroke-width:1.2}"
    "svg .lead{fill:none;stroke:currentColor;stroke-width:.8;opacity:.55}"
    "svg circle{fill:currentColor}svg .mark{fill:var(--bad)}"
    "svg .hover rect{fill:var(--ink);opacity:0}svg .hover rect:hover{opacity:.1}\n",
    ".bar{height:9px}.stack{height:26px}.bar rect,.stack rect{fill:currentColor}.bar .track{fill:var(--track)}"
    ".c0{color:var(--p0)}.c1{color:var(--p1)}.c2{color:var(--p2)}.c3{color:var(--p3)}.c4{color:var(--p4)}"
    ".c5{color:var(--p5)}.c6{color:var(--p6)}.c7{color:var(--p7)}.ink{color:var(--ink)}.soft{color:var(--soft)}"
    ".under{display:flex;margin:4px 0 16px;font-size:13px}"
    ".under span{flex:none;min-width:0;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}"
    "th,td{padding:5px 18px 5px 0;text-align:left;border-bottom:1px solid var(--rule);font-weight:400;"
    "vertical-align:baseline}"
    "th:last-child,td:last-child{padding-right:0}"
    "thead th{color:var(--soft);font-size:13px;white-space:nowrap}"
    ".num{text-align:right;white-space:nowrap}"
    "tbody th{white-space:nowrap}"
    ".barred .bars{width:60%;vertical-align:middle;padding-left:6px}"
    ".slim{max-width:600px}.scroll{margin-top:8px}.stack{margin-top:12px}"
    ".sum th,.sum td{border-bottom:0;font-weight:600}"
    ".small{font-size:13px}"
    ".key{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:8px;background:currentColor}\n",
    "details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}summary:hover{color:var(--ink)}"
    "pre,.sample p{tab-size:4}pre{overflow-x:auto;padding:14px 16px;background:var(--track);border-radius:4px;line-height:1.45}"
    ".sample{display:grid;grid-template-columns:110px 1fr;gap:16px;padding:8px 0;max-width:900px}"
    ".sample p{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}"
    ".when{color:var(--soft);font-size:13px;padding-top:2px;font-variant-numeric:tabular-nums}"
    "hr{border:0;border-top:1px solid var(--rule);margin:10px 0}"
    "blockquote{margin:10px 0;padding:2px 0 2px 14px;border-left:2px solid var(--rule);white-space:pre-wrap;"
    "overflow-wrap:anywhere;font-size:14px;max-width:100ch;unicode-bidi:isolate}"
    "cite{display:block;font-style:normal;color:var(--soft);font-size:13px}"
    ".notes{margin:24px 0 0;padding:10px 16px;border-left:3px solid var(--bad)}.notes p{margin:0}"
    "footer{margin-top:60px;padding-bottom:50px;color:var(--soft);font-size:13px}"
    "footer p{border-top:1px solid var(--rule);padding-top:12px;margin:0}\n",
    "@media(max-width:900px){.tiles{grid-template-columns:1fr 1fr}.tile{border-top:1px solid var(--rule)}"
    ".tile:first-child{grid-column:1/-1;border-top:0}.tile:nth-child(even){padding-left:0;border-left:0}}"
    "@media(max-width:700px){.wide{display:none}.narrow{display:block}h1{font-size:30px}header{padding-top:26px}"
    "section{margin-top:40px}.sample{grid-template-columns:1fr;gap:0}main,header,footer{padding:0 16px}"
    "header{padding-top:26px}th,td{padding-right:12px}.barred .bars{width:40%}}"
    "@media print{:root{--ground:#fff;--ink:#000;--soft:#555;--rule:#ccc;--track:#eee}"
    "body{font-size:11px}section{margin-top:26px}figure,.sample,tr,.tiles{break-inside:avoid}h2,.note{break-after:avoid}"
    ".wide{display:block}.narrow{display:none}.tiles{grid-template-columns:2.1fr 1fr 1fr 1fr 1fr}"
    ".tile .big{font-size:18px}.tile{padding:8px 10px}"
    ".panels{grid-template-columns:repeat(3,1fr)}.pairs{grid-template-columns:1fr 1fr}"
    ".under span,.key,svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n",
};

void yk_html_style(yk_buf *out)
{
    for (size_t i = 0; i < sizeof sheet / sizeof *sheet; i++) yk_buf_puts(out, sheet[i]);
}
