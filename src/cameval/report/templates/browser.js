"use strict";
(() => {
  const BATCH = 120, FOLDER = "report_files/", LAYERS = { map: "m", mask: "k", truth: "t" };
  const root = document.getElementById("images");
  const data = JSON.parse(document.getElementById("image-data").textContent);
  const inside = document.getElementById("image-files");
  const files = inside && JSON.parse(inside.textContent).files;  // else they are in a folder
  const find = (selector, from = root) => from.querySelector(selector);
  const make = (tag, name = "", ...inside) => {
    const one = document.createElement(tag);
    if (name) one.className = name;
    one.append(...inside);
    return one;
  };
  const form = find("form"), list = find(".tiles"), found = find(".found"), rest = find(".rest");
  const viewer = find("dialog");

  // --- Numbers ---------------------------------------------------------------------------------
  // As Python rounds: an exact tie goes to the even digit.
  const fixed = (value, digits) => {
    const size = Math.abs(value), twice = size * 2 ** (digits + 1);
    if (!Number.isInteger(twice) || twice % 2 === 0) return size.toFixed(digits);
    const below = Math.floor(size * 10 ** digits);
    return ((below + (below % 2)) / 10 ** digits).toFixed(digits);
  };
  const short = (value) => {
    if (Number.isNaN(value)) return "\u2013";
    const size = Math.abs(value);
    const many = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    const text = size < 9.995 ? fixed(size, 2).replace(/^0\./, ".") : size.toLocaleString("en-US", many);
    return (value < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
  };
  const percent = (share) => `${fixed(100 * share, 1)}\u00a0%`;
  const counted = (n, noun) => `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
  const arrays = new Map();
  const numbers = (id, Kind) => {
    if (id < 0) return null;
    if (!arrays.has(id)) {
      const bytes = Uint8Array.from(atob(data.arrays[id]), (c) => c.charCodeAt(0));
      arrays.set(id, new Kind(bytes.buffer));
    }
    return arrays.get(id);
  };
  for (const model of data.models) {
    for (const [name, k] of Object.entries(model.lists)) model[name] = data.lists[k];
    for (const pair of model.pairs) {
      pair.scores = () => numbers(pair.score, Float64Array);
      pair.guesses = () => numbers(pair.guess, Float64Array);
      pair.bounds = () => numbers(pair.bound, Float32Array);
      pair.flat = new Set(pair.constant);
    }
  }
  const score = (pair, i) => pair.scores()[i];
  const gain = (pair, i) => {  // how much better than the guess; NaN if that is not known
    const guesses = pair.guesses();
    return guesses ? (score(pair, i) - guesses[i]) * (data.higher ? 1 : -1) : NaN;
  };
  const mean = (values) => {
    const known = values.filter((value) => !Number.isNaN(value));
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : NaN;
  };
  const isUnit = data.higher && data.range && data.range[0] === 0 && data.range[1] === 1;
  const worse = data.higher === false ? "worse than the guess" : "below the guess";

  // --- State, in the address ----------------------------------------------------------------------
  const NAMES = ["net", "target", "method", "bin", "class", "group", "show", "sort", "q"];
  const plain = () => ({ ...Object.fromEntries(NAMES.map((name) => [name, ""])), layers: "mkt", image: "" });
  let state = plain(), model = data.models[0], pair = model.pairs[0], shown = [];

  const read = () => {
    const [place, words] = location.hash.slice(1).split(/\?(.*)/s);
    if (place !== "images" || words === undefined) return false;
    const asked = new URLSearchParams(words);
    state = plain();
    for (const name of Object.keys(state)) if (asked.has(name)) state[name] = asked.get(name);
    return true;
  };
  const write = () => {
    const words = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      if (value && !(name === "layers" && value === "mkt")) words.set(name, value);
    }
    if (state.layers === "") words.set("layers", "none");
    const text = words.toString(), before = location.hash.split("?")[0] === "#images";
    if (text || before) history.replaceState(null, "", `#images${text ? `?${text}` : ""}`);
  };

  const own = (all, key) => (Object.hasOwn(all, key) ? all[key] : undefined);
  const named = (names, text) => (text ? names.indexOf(text) : -1);
  const choose = () => {  // the model and the pair of the state
    model = data.models.find((one) => one.name === state.net) || data.models[0];
    const first = model.pairs[model.start];
    const wanted = {
      target: named(data.targets, state.target),
      method: named(data.methods, state.method),
      binarizer: named(data.binarizers, state.bin),
    };
    const fits = (one) => Object.entries(wanted).filter(([name, k]) => one[name] === (k < 0 ? first[name] : k)).length;
    pair = [first, ...model.pairs].reduce((best, one) => (fits(one) > fits(best) ? one : best));
    if (!data.classes.includes(state.class)) state.class = "";
    if (!data.groups.includes(state.group)) state.group = "";
    for (const [name, all] of [["show", SHOW], ["sort", SORT]]) {
      const one = own(all, state[name]);
      if (!one || (one[2] && !one[2]())) state[name] = "";
    }
  };

  // --- Which images -------------------------------------------------------------------------------
  const SHOW = {
    "": ["all", () => true],
    right: ["predicted right", (i) => model.right[i] === 1, () => model.right],
    wrong: ["predicted wrong", (i) => model.right[i] === 2, () => model.right],
    lt: [worse, (i) => gain(pair, i) < 0, () => pair.guess >= 0],
    hi: ["above .5", (i) => score(pair, i) > 0.5, () => isUnit],
    undef: ["undefined", (i) => Number.isNaN(score(pair, i)), () => Object.keys(pair.why).length],
    const: ["constant map", (i) => pair.flat.has(i), () => pair.flat.size],
  };
  const names = new Intl.Collator("en", { numeric: true });
  const up = (value) => (i) => value(i);
  const down = (value) => (i) => -value(i);
  const known = (values) => (i) => values()[i] ?? NaN;
  const SORT = {
    up: [`lowest ${data.metric} first`, up((i) => score(pair, i))],
    down: [`highest ${data.metric} first`, down((i) => score(pair, i))],
    gap: ["furthest below the guess first", up((i) => gain(pair, i)), () => pair.guess >= 0],
    size: ["smallest object first", up(known(() => model.area))],
    large: ["largest object first", down(known(() => model.area))],
    conf: ["highest probability first", down(known(() => model.probability)),
      () => model.probability.some((one) => one !== null)],
    name: ["name", null],
  };
  if (data.higher === false) SORT.gap[0] = "furthest behind the guess first";
  const usual = data.higher === false ? "down" : "up";

  const select = () => {
    const [, keep] = SHOW[state.show];
    const label = state.class ? data.classes.indexOf(state.class) : null;
    const group = state.group ? data.groups.indexOf(state.group) : null;
    const words = state.q.trim().toLowerCase();
    const every = model.sample.map((_, i) => i);
    const kept = every.filter((i) => keep(i)
      && (label === null || model.label[i] === label)
      && (group === null || model.group[i] === group)
      && (!words || data.samples[model.sample[i]].toLowerCase().includes(words)
        || data.groups[model.group[i]].toLowerCase().includes(words)));
    const [, key] = SORT[state.sort || usual];
    const keys = key ? kept.map(key) : null, at = new Map(kept.map((i, k) => [i, k]));
    const last = (i) => Number.isNaN(score(pair, i));
    return kept.sort((a, b) => {
      if (last(a) !== last(b)) return last(a) ? 1 : -1;
      if (!keys) return names.compare(data.samples[model.sample[a]], data.samples[model.sample[b]]) || a - b;
      const [x, y] = [keys[at.get(a)], keys[at.get(b)]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return x - y || a - b;
    });
  };

  // --- Parts: outlines and maps -------------------------------------------------------------------
  const parts = new Map(), waiting = new Map();
  const unpack = async (packed) => {
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };
  window.camevalPart = (name, packed) => waiting.get(name)(unpack(packed));
  const load = (number) => {
    const name = `part-${String(number).padStart(4, "0")}.js`;
    if (files && !parts.has(name)) parts.set(name, unpack(files[name]));
    if (!parts.has(name)) {
      parts.set(name, new Promise((resolve, reject) => {
        waiting.set(name, resolve);
        const script = make("script");
        script.src = FOLDER + name;
        script.addEventListener("error", () => {
          found.dataset.missing = ` \u00b7 The folder ${FOLDER} of the pictures is not beside the page.`;
          reject(new Error(name));
          status();
        });
        document.head.append(script);
      }));
    }
    return parts.get(name);
  };

  // --- Overlays -----------------------------------------------------------------------------------
  const STOPS = [[194, 80, 10], [255, 150, 30], [255, 226, 90]], OPACITY = 0.72;
  const ramp = new Uint8ClampedArray(4 * 256);
  for (let k = 0; k < 256; k += 1) {
    const share = (k / 255) * 2, low = Math.min(1, Math.floor(share));
    for (let c = 0; c < 3; c += 1) {
      ramp[4 * k + c] = STOPS[low][c] + (share - low) * (STOPS[low + 1][c] - STOPS[low][c]);
    }
    ramp[4 * k + 3] = k * OPACITY;
  }
  const drawMap = (canvas, [width, height, x0, x1, y0, y1, lowest, highest, packed], side) => {
    const cells = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    const context = canvas.getContext("2d");
    canvas.width = canvas.height = side;
    const picture = context.createImageData(side, side);
    const along = (start, step, count) => Array.from({ length: side }, (_, k) => {
      const at = Math.min(Math.max(start + (step * (k + 0.5)) / side, 0), count - 1);
      const cell = Math.min(Math.floor(at), Math.max(count - 2, 0));
      return [cell, Math.min(cell + 1, count - 1), at - cell];
    });
    const columns = along(x0, x1, width), rows = along(y0, y1, height);
    rows.forEach(([top, bottom, v], y) => columns.forEach(([left, right, u], x) => {
      const above = cells[top * width + left] * (1 - u) + cells[top * width + right] * u;
      const below = cells[bottom * width + left] * (1 - u) + cells[bottom * width + right] * u;
      const share = (above * (1 - v) + below * v - lowest) / (highest - lowest);
      const level = Math.round(255 * Math.min(Math.max(share, 0), 1));
      picture.data.set(ramp.subarray(4 * level, 4 * level + 4), 4 * (y * side + x));
    }));
    context.putImageData(picture, 0, 0);
  };
  const outline = (polygons) => polygons.map((p) => `M${p[0]} ${p[1]}l${p.slice(2).join(" ")}z`).join("");
  const SVG = "http://www.w3.org/2000/svg";
  const drawOutlines = (one, all, number) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${2 * one.size[0]} ${2 * one.size[1]}`);
    svg.setAttribute("preserveAspectRatio", "none");
    const add = (polygons, ...kinds) => kinds.forEach((kind) => {
      if (!polygons || !polygons.length) return;
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", kind);
      path.setAttribute("d", outline(polygons));
      svg.append(path);
    });
    add(one.ignored, "ignored");
    for (const other of one.others) add(all[other].truth, "other");
    add(one.masks[number], "mask halo", "mask");
    add(one.truth, "truth halo", "truth");
    return svg;
  };
  const photoName = (size, number) => {  // the thumbnail where the page has no larger one
    const name = (kind) => `${kind}-${String(number).padStart(5, "0")}.webp`;
    return name(files && !files[name(size)] ? "thumb" : size);
  };
  const photoUrl = (name) => (files ? `data:image/webp;base64,${files[name]}` : FOLDER + name);
  // A photo; `draw` adds the map and the outlines of a pair.
  const makeBox = (of, i, size, side) => {
    const box = make("span", of.aspect[i] < 1 ? "box tall" : "box wide"), photo = make("img");
    box.style.aspectRatio = String(of.aspect[i]);
    photo.alt = "";
    photo.loading = size === "thumb" ? "lazy" : "eager";
    photo.decoding = "async";
    photo.src = photoUrl(photoName(size, of.photo[i]));
    box.append(photo);
    box.draw = async (one) => {
      try {
        const all = await load(of.part[i]), drawn = all[of.place[i]], map = drawn.maps[Math.floor(one.number / of.masks)];
        box.replaceChildren(photo);
        if (map) {
          const canvas = make("canvas");
          drawMap(canvas, map, side);
          box.append(canvas);
        }
        box.append(drawOutlines(drawn, all, one.number));
        box.dataset.drawn = "";
      } catch (error) {
        if (!found.dataset.missing) throw error;
      }
    };
    return box;
  };

  // --- Tiles --------------------------------------------------------------------------------------
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        near.unobserve(target);
        target.draw(pair);
      }
    }
  }, { rootMargin: "500px" });
  const label = (i) => (model.label[i] < 0 ? "" : data.classes[model.label[i]]);
  const place = (value) => {
    const [low, high] = data.range;
    return `${(100 * Math.min(Math.max(value - low, 0), high - low)) / (high - low)}%`;
  };
  const makeTile = (i) => {
    const value = score(pair, i), more = gain(pair, i), tile = make("button", "tile");
    const box = makeBox(model, i, "thumb", 48), frame = make("span", "frame", box);
    const guess = pair.guesses()?.[i] ?? NaN, bound = pair.bounds()?.[i] ?? NaN;
    const badges = [];
    if (model.badge[i] >= 0) badges.push(`\u2715 ${data.badges[model.badge[i]]}`);
    if (pair.flat.has(i)) badges.push("constant map");
    if (badges.length) frame.append(make("span", "badge", badges.join(" \u00b7 ")));
    const line = make("span", "line", make("b", "", short(value)));
    if (!Number.isNaN(more)) {
      const by = Math.abs(more) < 0.005 ? "< .01" : short(Math.abs(more));
      line.append(make("span", "", more === 0 ? "=" : `${more < 0 ? "\u25bc" : "\u25b2"} ${by}`));
    }
    tile.append(frame, line);
    if (data.range && data.range.every(Number.isFinite)) {
      const bar = make("span", "score-bar");
      if (!Number.isNaN(value)) {
        bar.append(make("i", more < 0 ? "worse" : ""));
        bar.lastChild.style.width = place(value);
      }
      for (const [tag, at] of [["u", guess], ["s", bound]]) {
        if (Number.isNaN(at) || Number.isNaN(value)) continue;
        bar.append(make(tag));
        bar.lastChild.style.left = place(at);
      }
      tile.append(bar);
    }
    const name = data.samples[model.sample[i]], why = pair.why[i];
    const below = Number.isNaN(value) ? data.reasons[why] || "undefined" : label(i) || name;
    tile.append(make("span", "name", below));
    tile.type = "button";
    tile.title = name.length > 120 ? `${name.slice(0, 119)}\u2026` : name;
    tile.dataset.image = i;
    tile.setAttribute("aria-label", describe(i, tile.title, value, guess, bound, badges));
    tile.addEventListener("click", () => open(i));
    near.observe(box);
    return make("li", "", tile);
  };
  const describe = (i, name, value, guess, bound, badges) => {
    const said = [name, label(i)];
    if (Number.isNaN(value)) said.push(`no ${data.metric}: ${data.reasons[pair.why[i]] || "undefined"}`);
    else said.push(`${data.metric} ${short(value)}`);
    if (!Number.isNaN(guess)) said.push(`guess ${short(guess)}`);
    if (!Number.isNaN(bound)) said.push(`bound ${short(bound)}`);
    return [...said, ...badges].filter(Boolean).join(", ");
  };
  const addTiles = () => {
    const first = list.children.length;
    list.append(...shown.slice(first, first + BATCH).map(makeTile));
    const left = shown.length - list.children.length;
    rest.hidden = left <= 0;
    find("button", rest).textContent = `Show ${Math.min(left, BATCH)} more of ${left.toLocaleString("en-US")}`;
  };
  const tileOf = (i) => {
    if (!shown.includes(i)) return null;
    while (shown.indexOf(i) >= list.children.length) addTiles();
    return find(`[data-image="${i}"]`, list);
  };
  const status = () => {
    const total = model.sample.length, parted = [];
    parted.push(`${shown.length.toLocaleString("en-US")} of ${counted(total, data.row)}`);
    const average = mean(shown.map((i) => score(pair, i)));
    if (!Number.isNaN(average)) parted.push(`mean ${data.metric} ${short(average)}`);
    if (pair.guess >= 0) {
      parted.push(`\u25bc ${worse}: ${shown.filter((i) => gain(pair, i) < 0).length.toLocaleString("en-US")}`);
    }
    const lost = shown.filter((i) => Number.isNaN(score(pair, i))).length;
    if (lost) parted.push(`undefined: ${lost.toLocaleString("en-US")}`);
    found.textContent = parted.join(" \u00b7 ") + (found.dataset.missing || "");
  };
  const render = () => {
    choose();
    fill();
    showLayers();
    shown = select();
    near.disconnect();
    list.replaceChildren();
    addTiles();
    status();
    write();
  };

  // --- Filters ------------------------------------------------------------------------------------
  const offer = (name, options, value, needed = options.length > 1) => {
    const field = form.elements[name];
    field.closest("label").hidden = !needed;
    const text = JSON.stringify(options);
    if (field.dataset.options !== text) {
      field.dataset.options = text;
      field.replaceChildren(...options.map(([key, words]) => {
        const option = make("option", "", words);
        option.value = key;
        return option;
      }));
    }
    field.value = value;
  };
  const twice = (words) => words.map((word) => [word, word]);
  const used = (texts, name) => [...new Set(model.pairs.map((one) => one[name]))].filter((k) => k >= 0).map((k) => texts[k]);
  const listed = (counts, texts, text) => [...counts].filter(([k]) => k >= 0)
    .map(([k, n]) => [texts[k], text(texts[k], n)]).sort((a, b) => names.compare(a[0], b[0]));
  const count = (values) => values.reduce((all, k) => all.set(k, (all.get(k) || 0) + 1), new Map());
  const fill = () => {
    offer("net", twice(data.models.map((one) => one.name)), model.name);
    offer("target", twice(used(data.targets, "target")), data.targets[pair.target]);
    offer("method", twice(used(data.methods, "method")), data.methods[pair.method]);
    offer("bin", twice(used(data.binarizers, "binarizer")), data.binarizers[pair.binarizer] || "");
    const classes = listed(count(model.label), data.classes, (name) => name);
    offer("class", [["", "all classes"], ...classes], state.class, classes.length > 1);
    const several = new Map([...count(model.group)].filter(([, n]) => n > 1));
    const groups = listed(several, data.groups, (name, n) => `${name} (${counted(n, data.row)})`);
    offer("group", [["", {{ ("all " ~ names.groups) | tojson }}], ...groups], state.group, groups.length > 0 && several.size > 0);
    const can = (all) => Object.entries(all).filter(([, one]) => !one[2] || one[2]()).map(([key, one]) => [key, one[0]]);
    offer("show", can(SHOW), state.show, true);
    offer("sort", can(SORT), state.sort || usual, true);
    if (form.elements.q.value !== state.q) form.elements.q.value = state.q;
  };
  const change = () => {
    const before = state.net || data.models[0].name;
    for (const name of NAMES) state[name] = form.elements[name].value;
    if (state.net !== before) state.target = state.method = state.bin = "";
    const first = data.models.find((one) => one.name === state.net) || data.models[0];
    const usually = first.pairs[first.start];
    const same = { target: data.targets[usually.target], method: data.methods[usually.method],
      bin: data.binarizers[usually.binarizer], net: data.models[0].name, sort: usual };
    for (const [name, value] of Object.entries(same)) if (state[name] === value) state[name] = "";
    render();
  };
  form.addEventListener("change", change);
  form.addEventListener("input", (event) => { if (event.target.name === "q") change(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  find("button", rest).addEventListener("click", () => {
    const first = list.children.length;
    addTiles();
    find("button", list.children[first]).focus();
  });

  // --- Layers -------------------------------------------------------------------------------------
  const toggle = (layer) => {
    const key = LAYERS[layer];
    const on = Object.values(LAYERS).filter((one) => state.layers.includes(one) !== (one === key));
    state.layers = on.join("");
    showLayers();
    write();
  };
  const showLayers = () => {
    for (const [layer, key] of Object.entries(LAYERS)) {
      const on = state.layers.includes(key);
      root.classList.toggle(`no-${layer}`, !on);
      for (const button of root.querySelectorAll(`[data-layer="${layer}"]`)) button.setAttribute("aria-pressed", String(on));
    }
  };
  for (const place of root.querySelectorAll(".layers")) {
    for (const layer of Object.keys(LAYERS)) {
      const button = make("button", "", make("i"), layer);
      button.type = "button";
      button.dataset.layer = layer;
      button.addEventListener("click", () => toggle(layer));
      place.append(button);
    }
    place.hidden = false;
  }

  // --- One image, enlarged ------------------------------------------------------------------------
  let current = null, large = null, shownPair = null;
  const showPair = (one) => {
    shownPair = one;
    large.draw(one);
    find(".pairs").childNodes.forEach((item, k) => {
      find("button", item).setAttribute("aria-pressed", String(model.pairs[k] === one));
    });
    facts(current, one);
  };
  const predicted = (i) => {  // the name of the predicted class
    if (model.right && model.right[i] === 1) return label(i);
    if (model.badge[i] >= 0) return data.badges[model.badge[i]];
    return model.predicted && model.predicted[i] >= 0 ? data.predictions[model.predicted[i]] : "";
  };
  const facts = (i, one) => {
    const rows = [];
    if (label(i)) rows.push(["truth", `${label(i)}${model.area[i] === null ? "" : `, ${percent(model.area[i])} of the scored pixels`}`]);
    else if (model.area[i] !== null) rows.push(["truth", `${percent(model.area[i])} of the scored pixels`]);
    const said = data.multilabel ? [] : [predicted(i)].filter(Boolean);
    if (model.right && model.right[i]) said.push(model.right[i] === 1 ? "\u2713 right" : "\u2715 wrong");
    if (model.badge[i] >= 0 && data.multilabel) said.push(data.badges[model.badge[i]]);
    if (model.probability[i] !== null) said.push(`probability ${short(model.probability[i])} of the ${data.rated}`);
    if (said.length) rows.push(["prediction", said.join(", ")]);
    const value = score(one, i), more = [];
    if (Number.isNaN(value)) more.push(`undefined: ${data.reasons[one.why[i]] || "undefined"}`);
    else more.push(short(value));
    const guess = one.guesses()?.[i] ?? NaN, bound = one.bounds()?.[i] ?? NaN;
    if (!Number.isNaN(guess)) more.push(`guess (${one.by}) ${short(guess)}`);
    if (!Number.isNaN(bound)) more.push(`bound ${short(bound)}`);
    rows.push([data.metric, more.join(" \u00b7 ")]);
    if (one.flat.has(i)) rows.push(["map", "constant"]);
    if (data.remarks[model.remark[i]]) rows.push(["shown", data.remarks[model.remark[i]]]);
    rows.push([{{ names.group | tojson }}, data.groups[model.group[i]]]);
    find("dl", viewer).replaceChildren(...rows.map(([name, text]) => make("div", "", make("dt", "", name), make("dd", "", text))));
  };
  const pairName = (one) => [
    ...(used(data.targets, "target").length > 1 ? [data.targets[one.target]] : []),
    data.methods[one.method], data.binarizers[one.binarizer],
  ].filter(Boolean).join(", ");
  const show = (i) => {
    current = i;
    const at = shown.indexOf(i), name = data.samples[model.sample[i]];
    find("#viewer-name").textContent = name;
    find(".at", viewer).textContent = at < 0 ? "" : `${(at + 1).toLocaleString("en-US")} of ${shown.length.toLocaleString("en-US")}`;
    find('[data-step="-1"]').disabled = at <= 0;
    find('[data-step="1"]').disabled = at < 0 || at === shown.length - 1;
    large = makeBox(model, i, "large", 160);
    find(".large").replaceChildren(large);
    find(".pairs").replaceChildren(...model.pairs.map((one) => {
      const box = makeBox(model, i, "thumb", 48);
      const button = make("button", "", make("span", "frame", box), make("span", "", `${pairName(one)} `), make("b", "", short(score(one, i))));
      button.type = "button";
      button.addEventListener("click", () => showPair(one));
      box.draw(one);
      return make("li", "", button);
    }));
    const file = photoName("large", model.photo[i]);
    const copy = make("button", "", "Copy name"), link = make("a", "", file);
    copy.type = "button";
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(name);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(find("#viewer-name"));
        copy.textContent = "Selected";
      }
    });
    link.href = photoUrl(file);
    if (files) link.download = file;
    else link.target = "_blank";
    find(".files", viewer).replaceChildren(copy, link);
    state.image = String(i);
    write();
    showPair(shownPair);
  };
  const open = (i) => {
    shownPair = pair;
    if (!viewer.open) viewer.showModal();
    show(i);
    find("#viewer-name").focus();
  };
  const step = (by) => {
    const next = shown[shown.indexOf(current) + by];
    if (next !== undefined) show(next);
  };
  const stepPair = (by) => {
    const { pairs } = model;
    showPair(pairs[(pairs.indexOf(shownPair) + by + pairs.length) % pairs.length]);
  };
  for (const button of viewer.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  }
  find(".close", viewer).addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => {
    state.image = "";
    write();
    tileOf(current)?.focus();
  });

  // --- Keys ---------------------------------------------------------------------------------------
  const columns = () => getComputedStyle(list).gridTemplateColumns.split(" ").length;
  const inView = () => {
    const { top, bottom } = root.getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const focus = document.activeElement, typing = focus?.matches("input, select, textarea");
    const here = viewer.open || root.contains(focus) || ((!focus || focus === document.body) && inView());
    if (!here || typing) return;
    const layer = Object.keys(LAYERS).find((one) => LAYERS[one] === event.key);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
    const by = steps[event.key], across = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (layer) toggle(layer);
    else if (event.key === "/" && !viewer.open) form.elements.q.focus();
    else if (by && viewer.open) (across ? step : stepPair)(by);
    else if (by && focus?.matches(".tile")) {
      const tiles = [...list.children], at = tiles.indexOf(focus.parentElement);
      const next = tiles[at + by * (across ? 1 : columns())];
      if (!next) return;
      find("button", next).focus();
    } else return;
    event.preventDefault();
  });
  form.elements.q.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    form.elements.q.value = "";
    change();
    form.elements.q.blur();
    event.preventDefault();
  });

  // --- Start --------------------------------------------------------------------------------------
  const begin = () => {
    const asked = read();
    const image = asked && state.image !== "" ? Number(state.image) : null;
    render();
    if (asked) root.scrollIntoView();
    if (image !== null && shown.includes(image)) open(image);
    else if (viewer.open) viewer.close();
  };
  addEventListener("hashchange", () => { if (location.hash.startsWith("#images?")) begin(); });
  addEventListener("beforeprint", () => {
    [...list.children].slice(0, 60).forEach((item) => {
      const box = find(".box", item);
      find("img", box).loading = "eager";
      if (!("drawn" in box.dataset)) box.draw(pair);
    });
  });
  form.hidden = false;
  begin();
})();
