// An image before and after, divided by a line, as a whole or magnified and moved.
//
// Coordinates: `box` is [left, top, width, height] in pixels of the image; `view` is the size of the
// viewport in pixels of the screen; `origin` is the image's pixel at its upper left corner.
const LEVELS = ["fit", 1, 2, 4];

export default {
  template: `
    <div class="stage">
      <div class="zooms" role="group" aria-label="Zoom">
        <button v-for="level in levels" type="button" :aria-pressed="String(zoom === level)"
          @click="magnify(level)">{{ level === "fit" ? "Whole" : level + ":1" }}</button>
        <span class="hint">{{ hint }}</span>
      </div>
      <div ref="view" class="view" :class="{ moved: zoom !== 'fit' }" tabindex="0" role="group"
        :aria-label="zoom === 'fit' ? 'Image' : 'Image; arrow keys move it'"
        :style="{ height: height + 'px' }" @keydown.self="key" @pointerdown="press"
        @pointermove="move" @pointerup="release" @pointercancel="release">
        <img v-for="layer in before" :key="layer.url" :src="layer.url" :style="place(layer.box)"
          alt="" draggable="false">
        <div class="after" :style="{ clipPath: 'inset(0 0 0 ' + split + '%)' }">
          <div class="veil" :style="place([0, 0, size[0], size[1]])"></div>
          <img v-for="layer in after" :key="layer.url" :src="layer.url" :style="place(layer.box)"
            alt="" draggable="false">
        </div>
        <span class="side" v-show="split > 12">before</span>
        <span class="side end" v-show="split < 88">after</span>
        <div ref="line" class="line" role="slider" tabindex="0" aria-label="Line between before and after"
          aria-valuemin="0" aria-valuemax="100" :aria-valuenow="Math.round(split)"
          :aria-valuetext="Math.round(split) + ' % before'" :style="{ left: split + '%' }"
          @keydown="slide" @pointerdown.stop="grab"><i></i></div>
        <div v-if="zoom !== 'fit' && before.length" ref="map" class="map" :style="mapSize" aria-hidden="true"
          @pointerdown.stop.prevent="jump" @pointermove.stop="held === 'map' && jump($event)"
          @pointerup.stop="release">
          <img :src="before[0].url" alt="" draggable="false">
          <i :style="window"></i>
        </div>
      </div>
    </div>`,
  props: { size: Array, before: Array, after: Array, start: [String, Number] },
  data() {
    return { levels: LEVELS, zoom: this.start, split: 50, view: [600, 400], held: null, from: null,
             middle: [this.size[0] / 2, this.size[1] / 2], tall: window.innerHeight };
  },
  computed: {
    scale() {
      const [w, h] = this.size;
      return this.zoom === "fit" ? Math.min(this.view[0] / w, this.view[1] / h) : this.zoom;
    },
    origin() {
      return [0, 1].map((k) => {
        const length = this.view[k] / this.scale, most = this.size[k] - length;
        return most <= 0 ? most / 2 : Math.round(Math.min(most, Math.max(0, this.middle[k] - length / 2)));
      });
    },
    height() {
      const whole = (this.view[0] * this.size[1]) / this.size[0];
      return Math.round(Math.max(220, Math.min(0.74 * this.tall, whole)));
    },
    visible() {
      if (this.zoom === "fit") return [0, 0, ...this.size];
      const corner = this.origin.map((x, k) => Math.min(this.size[k] - 1, Math.max(0, Math.floor(x))));
      const end = this.origin.map((x, k) =>
        Math.max(corner[k] + 1, Math.min(this.size[k], Math.ceil(x + this.view[k] / this.scale))));
      return [...corner, end[0] - corner[0], end[1] - corner[1]];
    },
    mapSize() {
      const scale = Math.min(110 / this.size[0], 110 / this.size[1]);
      return { width: scale * this.size[0] + "px", height: scale * this.size[1] + "px" };
    },
    window() {
      const [x, y, w, h] = this.visible, share = (a, k) => (100 * a) / this.size[k] + "%";
      return { left: share(x, 0), top: share(y, 1), width: share(w, 0), height: share(h, 1) };
    },
    hint() {
      return this.zoom === "fit" ? "Drag or use the arrow keys to move the line."
        : "Drag or use the arrow keys to move the image.";
    },
  },
  watch: { visible: { handler() { this.look(); }, deep: true } },
  mounted() {
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.$refs.view);
    window.addEventListener("resize", (this.resized = () => { this.tall = window.innerHeight; }));
    this.measure();
    this.look();
  },
  unmounted() {
    this.observer.disconnect();
    window.removeEventListener("resize", this.resized);
    clearTimeout(this.waiting);
  },
  methods: {
    measure() {
      const { clientWidth: w, clientHeight: h } = this.$refs.view;
      if (w && h && (w !== this.view[0] || h !== this.view[1])) this.view = [w, h];
    },
    place([x, y, w, h]) {
      const s = this.scale;
      return { left: (x - this.origin[0]) * s + "px", top: (y - this.origin[1]) * s + "px",
               width: w * s + "px", height: h * s + "px", imageRendering: s >= 1 ? "pixelated" : "auto" };
    },
    look() {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.$emit("look", { zoom: this.zoom, box: this.visible }), 120);
    },
    magnify(level) {
      this.zoom = level;
    },
    key(event) {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const way = { "+": 1, "=": 1, "-": -1 }[event.key];
      if (step && this.zoom === "fit") return step[0] ? this.slide(event) : undefined;
      if (step) this.shift(step.map((x, k) => (x * this.view[k]) / this.scale / 8));
      else if (way) this.zoom = LEVELS[Math.min(3, Math.max(0, LEVELS.indexOf(this.zoom) + way))];
      else return;
      event.preventDefault();
    },
    shift(by) {
      // From the middle of what is seen, which the border may have stopped.
      this.middle = this.origin.map((x, k) => {
        const length = this.view[k] / this.scale;
        return Math.min(this.size[k], Math.max(0, x + length / 2 + by[k]));
      });
    },
    slide(event) {
      const far = event.shiftKey ? 10 : 1;
      const by = { ArrowLeft: -far, ArrowDown: -far, ArrowRight: far, ArrowUp: far, PageDown: -10, PageUp: 10,
                   Home: -100, End: 100 }[event.key];
      if (by === undefined) return;
      this.split = Math.min(100, Math.max(0, this.split + by));
      event.preventDefault();
      event.stopPropagation();
    },
    grab(event) {
      this.held = "line";
      this.$refs.view.setPointerCapture(event.pointerId);
      this.$refs.line.focus();
    },
    press(event) {
      if (event.button !== 0) return;
      this.held = this.zoom === "fit" ? "line" : "image";
      this.from = { at: [event.clientX, event.clientY] };
      this.$refs.view.setPointerCapture(event.pointerId);
      this.move(event);
    },
    move(event) {
      if (this.held === "line") {
        const box = this.$refs.view.getBoundingClientRect();
        this.split = Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width));
      } else if (this.held === "image") {
        const at = [event.clientX, event.clientY];
        this.shift(at.map((x, k) => (this.from.at[k] - x) / this.scale));
        this.from.at = at;
      }
    },
    release() {
      this.held = null;
    },
    jump(event) {
      if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
      this.held = "map";
      const box = this.$refs.map.getBoundingClientRect();
      this.middle = [((event.clientX - box.left) / box.width) * this.size[0],
                     ((event.clientY - box.top) / box.height) * this.size[1]];
    },
  },
};
