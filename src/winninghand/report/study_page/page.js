"use strict";
// Draws the charts of the page from its data, and lets the filters act on charts and tables alike.
(() => {
  const { figures, looks, config } = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("filters");
  const fields = [...form.querySelectorAll("fieldset")];
  const PLACE = ["method", "domain", "network", "protocol"];
  const MEAN = "mean";
  const SHAPES = {
    circle: "M8 2a6 6 0 1 0 .01 0z", square: "M3 3h10v10H3z", diamond: "M8 1l6 7-6 7-6-7z",
    "triangle-up": "M8 2l7 12H1z", "triangle-down": "M8 14L1 2h14z", cross: "M6 2h4v4h4v4h-4v4H6v-4H2V6h4z",
  };
  const protocolCount = document.querySelectorAll('fieldset[data-key="protocol"] input').length;
  // ---- what the filters let through

  const chosen = () => {
    const state = {};
    for (const field of fields) {
      const select = field.querySelector("select");
      state[field.dataset.key] = select
        ? select.value
        : new Set([...field.querySelectorAll("input:checked")].map((box) => box.value));
    }
    return state;
  };
  const inPlace = (row, state) => PLACE.every((key) => !state[key] || row[key] === undefined || state[key].has(String(row[key])));
  const ofSeed = (row, state, figure) =>
    row.seed === undefined || row.seed === state.seed || ((figure.everySeed || row.alone) && state.seed === MEAN);

  const markFront = (rows, key) => {
    let best = -1;
    for (const row of rows) row[`${key}_front`] = false;
    for (const row of rows.filter((one) => one[key] !== undefined).sort((a, b) => a[key] - b[key] || b.robust - a.robust)) {
      if (row.robust > best) { best = row.robust; row[`${key}_front`] = true; }
    }
  };

  // ---- what a chart is made of, given its rows and the width that there is

  const span = (values) => [Math.min(...values), Math.max(...values)];
  // A label that is too long stands in two lines, or in as many as it has parts; its row is then so high at least.
  const BREAK = " · ";
  const inTwo = (text) => {
    const place = text.lastIndexOf(BREAK);
    return place < 0 ? [text] : [text.slice(0, place), text.slice(place + BREAK.length)];
  };
  const AT = `lastindexof(datum.label, '${BREAK}')`;
  const WAYS = [
    [(text) => [text], null],
    [inTwo, `${AT} < 0 ? datum.label : [slice(datum.label, 0, ${AT}), slice(datum.label, ${AT} + ${BREAK.length})]`],
    [(text) => text.split(BREAK), `split(datum.label, '${BREAK}')`],
  ];
  const fitLabels = (axes, rows, key, width) => {
    const most = Math.max(150, width * 0.4);
    const wide = (divide) => Math.max(...rows.flatMap((row) => divide(String(row[key]))).map((text) => text.length)) * 6.1 + 14;
    const [divide, labelExpr] = WAYS.find(([divide]) => wide(divide) <= most) ?? WAYS.at(-1);
    const lines = Math.max(...rows.map((row) => divide(String(row[key])).length));
    const margin = Math.min(wide(divide), most);
    for (const axis of axes) {
      axis.labelLimit = margin;
      if (lines > 1) Object.assign(axis, { labelExpr, labelLineHeight: 13, labelOffset: -6.5 * (lines - 1) });
    }
    return [margin, lines > 1 ? 13 * lines + 6 : 0];
  };

  // Of names on the front that would lie on each other, that of the most robust stands.
  const nameFront = (rows, key, width, height) => {
    const [least, most] = span(rows.map((row) => Math.log(row[key])));
    const [low, high] = span(rows.flatMap((row) => [row.robust_low ?? row.robust, row.robust_high ?? row.robust]));
    const places = [];
    for (const row of rows.filter((one) => one.front).sort((a, b) => b.robust - a.robust)) {
      const x = ((Math.log(row[key]) - least) / (most - least || 1)) * width;
      const y = ((row.robust - low) / (high - low || 1)) * height;
      const long = row.label.length * 6.1 + 9;
      const [from, to] = row.left ? [x, x + long] : [x - long, x];
      row.named = places.every((one) => one.from > to || one.to < from || Math.abs(one.y - y) > 13);
      if (row.named) places.push({ from, to, y });
    }
  };

  const melted = (rows, keys, difference) => {
    const cells = rows.flatMap((row) => keys.filter(([key]) => row[key] !== undefined)
      .map(([key, corruption]) => ({ label: row.label, corruption, value: row[key] })));
    const [low, high] = span(cells.map((cell) => cell.value));
    const most = Math.max(Math.abs(low), Math.abs(high), 1e-9);
    for (const cell of cells) {
      cell.ink = difference
        ? (Math.abs(cell.value) / most > 0.72 ? "#fff" : "#111")
        : ((cell.value - low) / (high - low || 1) > 0.55 ? "#111" : "#fff");
    }
    return [cells, most];
  };

  const fitted = (template, figure, visible, seeds, width) => {
    const spec = structuredClone(template);
    const meta = spec.usermeta;
    let rows = visible.map((row) => ({ ...row, role: "mean" }));
    spec.autosize = { type: "fit-x", contains: "padding" };
    spec.width = width;
    if (meta.layout === "panels") {
      const key = meta.seeds;
      for (const row of rows) if (row.method === "dense") row[`${key}_dense`] = row[key];
      rows = rows.concat(seeds.map(({ series, panel, x, protocol, [key]: accuracy }) => ({ series, panel, x, protocol, role: "seed", [`${key}_seed`]: accuracy })));
      // A training of one phase stands in the panels of all protocols.
      const protocols = [...new Set(rows.map((row) => row.protocol).filter(Boolean))];
      if (protocolCount > 1) {
        rows = rows.flatMap((row) => (row.protocol ? [row.protocol] : protocols.length ? protocols : [""])
          .map((protocol) => ({ ...row, panel: [row.panel, protocol].filter(Boolean).join(" · ") })));
      }
      const panels = new Set(rows.map((row) => row.panel)).size || 1;
      const columns = Math.min(panels, width >= 960 ? 3 : width >= 600 ? 2 : 1);
      delete spec.autosize; delete spec.width;
      spec.columns = columns;
      spec.spacing = 24;
      spec.spec.width = Math.floor((width - 62 - 24 * (columns - 1)) / columns);
      spec.spec.height = Math.round(Math.min(300, Math.max(200, spec.spec.width * 0.6)));
    } else if (meta.layout === "grid") {
      const [cells, most] = melted(rows, meta.melt, meta.difference);
      rows = cells;
      const [margin, high] = fitLabels(spec.layer.map((layer) => layer.encoding.y.axis), visible, "label", width);
      const cell = (width - margin) / meta.melt.length;
      spec.layer[0].encoding.color.legend.gradientLength = Math.min(220, width - margin - 20);
      if (meta.difference) spec.layer[0].encoding.color.scale.domain = [-most, most];
      spec.height = visible.length * Math.max(20, Math.min(30, cell), high);
      if (cell < 30) spec.layer.pop();
      if (cell < 34) for (const layer of spec.layer) layer.encoding.x.axis.labelAngle = -90;
    } else if (meta.layout === "rows") {
      const axes = spec.layer.filter((layer) => layer.encoding.y).map((layer) => layer.encoding.y.axis);
      const [, high] = fitLabels(axes, visible, spec.layer[spec.layer.length - 1].encoding.y.field, width);
      if (meta.drawn) rows = rows.filter((row) => row[meta.drawn] !== undefined);
      spec.height = rows.length * Math.max(24, high);
    } else if (meta.layout === "wide") {
      spec.height = Math.round(Math.min(420, Math.max(280, width * 0.5)));
      rows = rows.filter((row) => row[meta.front] !== undefined);
      for (const row of rows) row.front = row[`${meta.front}_front`];
      const middle = Math.sqrt(span(rows.map((row) => row[meta.front])).reduce((a, b) => a * b));
      for (const row of rows) row.left = row[meta.front] < middle;
      nameFront(rows, meta.front, width, spec.height);
      if (width < 600) spec.layer.splice(-2);
    } else if (meta.layout === "maps") {
      const [height, across] = meta.cells;
      const columns = Math.max(1, Math.min(visible.length, Math.floor(width / 330)));
      delete spec.autosize; delete spec.width;
      spec.columns = columns;
      const side = Math.max(1, Math.floor((width - 62 - 24 * (columns - 1)) / columns / across));
      spec.spec.width = side * across;
      spec.spec.height = side * height;
      rows = visible.flatMap((row) => figure.maps[figure.rows.indexOf(row)].flatMap((line, i) => line.map((error, j) => ({
        label: row.label, error, vertical: (i - (height >> 1)) * meta.apart, horizontal: (j - (across >> 1)) * meta.apart,
      }))));
    }
    // Named, and not values within a layer, so that all layers share them.
    spec.datasets = { rows };
    spec.config = config;
    return spec;
  };

  const writeLegend = (place, legend, rows) => {
    const marks = Array.isArray(legend) ? legend.filter(([name]) => !rows[0].verdict || rows.some((row) => row.verdict === name)) : [...new Set(rows.map((row) => row.series))]
      .filter((name) => looks[name]).map((name) => [name, ...looks[name]]);
    place.replaceChildren(...marks.map(([name, colour, shape]) => {
      const item = document.createElement("span");
      const symbol = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      symbol.setAttribute("viewBox", "0 0 16 16");
      symbol.setAttribute("aria-hidden", "true");
      path.setAttribute("d", SHAPES[shape]);
      path.setAttribute("style", `fill:${colour}`);
      symbol.append(path);
      item.append(symbol, name);
      return item;
    }));
  };

  // ---- the page

  let views = [];
  let drawn = 0;
  const show = async () => {
    const state = chosen();
    const turn = ++drawn;
    const waiting = [];
    let left = 0;
    const old = views;
    views = [];
    for (const [name, figure] of Object.entries(figures)) {
      const section = document.getElementById(name);
      const placed = figure.rows.filter((row) => inPlace(row, state));
      const visible = placed.filter((row) => ofSeed(row, state, figure));
      const seeds = state.seed === MEAN ? placed.filter((row) => row.seed !== undefined && row.seed !== MEAN) : [];
      for (const spec of figure.specs) if (spec.usermeta.front) markFront(visible, spec.usermeta.front);
      const lines = section.querySelectorAll("tbody tr");
      figure.rows.forEach((row, number) => {
        lines[number].hidden = !visible.includes(row);
        for (const cell of lines[number].querySelectorAll("td[data-key]")) {
          cell.textContent = row[cell.dataset.key] ? "●" : "";
        }
      });
      if (name === "accuracy") left = visible.length;
      section.querySelector(".nothing").hidden = visible.length > 0;
      section.querySelectorAll(".chart").forEach((place, number) => {
        place.hidden = visible.length === 0;
        const drawing = place.querySelector(".drawing");
        if (place.hidden) return drawing.replaceChildren();
        const spec = fitted(figure.specs[number], figure, visible, seeds, Math.floor(place.clientWidth));
        if (spec.usermeta.legend) writeLegend(place.querySelector(".legend"), spec.usermeta.legend, visible);
        waiting.push(vegaEmbed(drawing, spec, { actions: false, renderer: "svg", logLevel: 1 }).then((view) => views.push(view)));
      });
    }
    document.getElementById("left").textContent = `${left} ${left === 1 ? "card" : "cards"}, ${state.seed === MEAN ? "mean over seeds" : `seed ${state.seed}`}`;
    await Promise.all(waiting);
    for (const view of old) view.finalize();
    if (turn === drawn) document.documentElement.dataset.drawn = turn;
  };

  // The filters stand in the address, so that a view can be passed on.
  const remember = (link = false) => {
    const parts = new URLSearchParams();
    for (const field of fields) {
      const select = field.querySelector("select");
      const boxes = [...field.querySelectorAll("input")];
      if (select && select.value !== MEAN) parts.set("seed", select.value);
      if (boxes.some((box) => !box.checked)) {
        parts.set(field.dataset.key, JSON.stringify(boxes.filter((box) => box.checked).map((box) => box.value)));
      }
    }
    if (link && !String(parts)) return; // a link to a figure, and no filters to add
    try { history.replaceState(null, "", `#${parts}`); } catch { /* a page that is framed */ }
  };
  const recall = () => {
    const parts = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      const given = parts.get(field.dataset.key);
      const select = field.querySelector("select");
      if (given === null) {
        if (select) select.value = MEAN;
        for (const box of field.querySelectorAll("input")) box.checked = true;
        continue;
      }
      try {
        if (select) {
          if ([...select.options].some((option) => option.value === given)) select.value = given;
        } else {
          const values = JSON.parse(given).map(String);
          for (const box of field.querySelectorAll("input")) box.checked = values.includes(box.value);
        }
      } catch { /* an address that was cut */ }
    }
  };

  for (const table of document.querySelectorAll("details.table")) {
    const section = table.parentElement;
    const isShort = table.querySelectorAll("tbody tr:not([hidden])").length <= 12;
    table.open = section.id === "claims" || (isShort && !section.querySelector(".chart"));
  }
  form.hidden = false;
  if (innerWidth > 900) form.querySelector("details").open = true;
  recall();
  // Another address may have been pasted. A link to a figure takes the place of the filters, which come back.
  addEventListener("hashchange", () => {
    if (document.getElementById(location.hash.slice(1))) return remember(true);
    recall();
    show();
  });
  form.addEventListener("change", () => { remember(); show(); });
  form.addEventListener("reset", () => setTimeout(() => { remember(); show(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  let width = document.body.clientWidth;
  let timer;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    clearTimeout(timer);
    timer = setTimeout(show, 150);
  });
  addEventListener("beforeprint", () => {
    for (const table of document.querySelectorAll("details.table")) table.open = true;
  });
  show();
})();
