"use strict";
{
  // --- light or dark ---
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(root).colorScheme === "dark";
    root.dataset.theme = dark ? "light" : "dark";
  });

  // --- one of several panels ---
  const press = (button) => {
    for (const other of button.parentElement.querySelectorAll("button"))
      other.setAttribute("aria-pressed", String(other === button));
  };
  for (const button of document.querySelectorAll("button[data-panel]"))
    button.addEventListener("click", () => {
      press(button);
      for (const other of button.parentElement.querySelectorAll("button"))
        document.getElementById(other.dataset.panel).hidden = other !== button;
    });

  // --- a method under the pointer stands out in every chart ---
  const highlight = (target) => {
    const method = target && target.closest ? target.closest(".method") : null;
    document.body.classList.toggle("highlighting", method !== null);
    for (const other of document.querySelectorAll(".method.on")) other.classList.remove("on");
    if (method)
      for (const other of document.querySelectorAll(`.method[data-method="${method.dataset.method}"]`))
        other.classList.add("on");
  };
  document.addEventListener("pointerover", (event) => highlight(event.target));
  document.addEventListener("pointerleave", () => highlight(null));

  // --- the images ---
  const data = document.getElementById("example-data");
  if (data) showExamples(JSON.parse(data.textContent));

  function showExamples(examples) {
    const get = (id) => document.getElementById(id);
    const slider = get("slider"), details = get("details");
    const select = { example: get("example"), left: get("left"), right: get("right") };
    const [first, second] = slider.querySelectorAll(".pane");
    // What is in view: how much larger than to fit, and the point of the image, from 0 to 1 each
    // way, that is in the middle.
    const view = { zoom: 1, x: 0.5, y: 0.5 };

    const fill = (element, texts, chosen) => {
      element.replaceChildren(...texts.map((text, n) => new Option(text, n)));
      element.value = String(Math.max(0, chosen));
    };
    const current = () => examples[select.example.value].pictures;

    function draw() {
      const half = 0.5 / view.zoom;
      view.x = Math.min(1 - half, Math.max(half, view.x));
      view.y = Math.min(1 - half, Math.max(half, view.y));
      const move = (zoom, x, y) => `scale(${zoom}) translate(${-100 * x}%, ${-100 * y}%)`;
      for (const pane of [first, second])
        pane.firstElementChild.style.transform = move(view.zoom, view.x - half, view.y - half);
      // The details show the same place, no less than twice as large.
      const zoom = Math.max(2, view.zoom), side = 0.5 / zoom;
      const inside = (at) => Math.min(1 - side, Math.max(side, at)) - side;
      for (const image of details.querySelectorAll("img"))
        image.style.transform = move(zoom, inside(view.x), inside(view.y));
      slider.classList.toggle("zoomed", view.zoom > 1);
      slider.handle = view.zoom > 1; // then only the line moves the line; the rest pans
    }

    function put(pane, picture, where) {
      pane.firstElementChild.src = picture.source;
      pane.firstElementChild.alt = picture.label;
      where.textContent = [picture.label, picture.score].filter(Boolean).join(": ");
    }

    function choose() {
      const pictures = current();
      put(first, pictures[select.left.value], get("left-score"));
      put(second, pictures[select.right.value], get("right-score"));
      [...details.children].forEach((button, n) =>
        button.setAttribute("aria-pressed", String(n === Number(select.right.value))));
    }

    function open() {
      const pictures = current(), labels = pictures.map((picture) => picture.label);
      const keep = (element, usual) => {
        const old = element.selectedOptions[0];
        const place = labels.indexOf(old ? old.text : usual);
        fill(element, labels, place < 0 ? labels.length - 1 : place);
      };
      keep(select.left, examples[select.example.value].start ?? "identity");
      keep(select.right, examples[select.example.value].best);
      details.replaceChildren(...pictures.map((picture, n) => {
        const button = document.createElement("button"), pane = document.createElement("div");
        const name = document.createElement("b"), score = document.createElement("small");
        pane.className = "pane";
        pane.append(Object.assign(new Image(), { src: picture.source, alt: "" }));
        name.textContent = picture.label;
        score.textContent = picture.score;
        button.type = "button";
        button.append(pane, name, score);
        button.addEventListener("click", () => { select.right.value = String(n); choose(); });
        return button;
      }));
      choose();
      draw();
    }

    fill(select.example, examples.map((e) => `${e.image}, ${e.case}`), 0);
    select.example.addEventListener("change", open);
    select.left.addEventListener("change", choose);
    select.right.addEventListener("change", choose);
    for (const button of get("zoom").querySelectorAll("button"))
      button.addEventListener("click", () => {
        press(button);
        view.zoom = Number(button.dataset.zoom);
        draw();
      });

    // Panning: a drag that does not begin on the line.
    let from = null;
    slider.addEventListener("pointerdown", (event) => {
      const box = slider.getBoundingClientRect();
      const line = box.left + (box.width * slider.value) / 100;
      if (view.zoom === 1 || Math.abs(event.clientX - line) <= 22) return;
      from = { x: event.clientX, y: event.clientY, at: { ...view } };
      event.preventDefault();
    });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      const box = slider.getBoundingClientRect();
      view.x = from.at.x - (event.clientX - from.x) / box.width / view.zoom;
      view.y = from.at.y - (event.clientY - from.y) / box.height / view.zoom;
      draw();
    });
    for (const end of ["pointerup", "pointercancel"])
      window.addEventListener(end, () => { from = null; });
    open();
  }
}
