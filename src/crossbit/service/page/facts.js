// What the collection is: items, bits, hasher, and its score with the protocol it was measured under.

import { byId, element } from "./element.js";

export function showFacts(info) {
  const list = element("dl", { class: "facts-list" });
  const row = (name, ...value) => list.append(element("dt", {}, name), element("dd", {}, ...value));
  row("Items", `${info.items.toLocaleString("en")} (${info.items_with.image.toLocaleString("en")} with a picture's code, ${info.items_with.text.toLocaleString("en")} with a text's)`);
  row("Code", `${info.n_bits} bits, ${Math.ceil(info.n_bits / 8)} bytes an item and side`);
  row("Hasher", `${info.hasher.method}, `, element("code", {}, info.hasher.fingerprint));
  for (const [modality, encoder] of Object.entries(info.hasher.encoders || {})) {
    if (encoder) row(modality === "image" ? "Pictures by" : "Texts by", element("code", {}, encoder));
  }
  row("Confidence", info.calibrated ? "calibrated on held-out pairs" : "not calibrated: only distances are known");
  row("crossbit", info.version);
  const body = byId("facts-body");
  body.replaceChildren(list);
  if (info.scores.length) {
    body.append(element("h3", { class: "part" }, "Score"));
    for (const score of info.scores) {
      body.append(element("p", {}, `${score.mean.toFixed(3)} mean mAP (text to pictures ${score.t2i.toFixed(3)}, pictures to text ${score.i2t.toFixed(3)})`),
        element("p", { class: "help" }, `on ${score.data}, protocol ${score.protocol} (${score.protocol_id})`));
    }
  }
  body.append(element("p", { class: "help" }, "Words and pictures become codes of the same length; the fewer bits differ, the closer they are. The HTTP interface is described at ",
    element("a", { href: "/docs" }, "/docs"), "."));
}
