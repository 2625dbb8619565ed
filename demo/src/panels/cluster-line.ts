import { s } from '../dom.ts';

const WIDTH = 560;
const HEIGHT = 120;
const BASE = 78;
const MARGIN = 18;
const GLIDE_MS = 450;

export interface LineState {
  codebook?: Float32Array;
  codes?: Uint8Array;
}

/** Values on a line, each tied to its centroid above; centroids glide to where they go next. */
export function clusterLine() {
  const svg = s('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: 'numberline',
    role: 'img',
    'aria-label': 'Number line, still empty',
  });
  let values: Float32Array = new Float32Array();
  let shown: LineState = {};
  let frame = 0;
  const still = matchMedia('(prefers-reduced-motion: reduce)');

  return {
    element: svg,
    show(own: Float32Array, next: LineState, glide: boolean) {
      cancelAnimationFrame(frame);
      const from = shown;
      const sameRun = own === values && from.codebook?.length === next.codebook?.length;
      values = own;
      shown = next;
      describe(svg, values, next);
      if (!glide || !sameRun || !from.codebook || !next.codebook || still.matches) {
        return draw(svg, values, next);
      }
      const started = performance.now();
      const step = () => {
        const t = Math.min(1, (performance.now() - started) / GLIDE_MS);
        const eased = t * t * (3 - 2 * t);
        const between = next.codebook!.map((to, i) => from.codebook![i] + (to - from.codebook![i]) * eased);
        // Members keep their colour until the centroids stand: first the mean, then the assignment.
        draw(svg, values, t < 1 ? { codebook: between, codes: from.codes } : next, from.codebook);
        if (t < 1) frame = requestAnimationFrame(step);
      };
      step();
    },
  };
}

function describe(svg: SVGElement, values: Float32Array, { codebook }: LineState): void {
  const label = codebook
    ? `Number line with centroids at ${[...codebook].map((c) => c.toFixed(3)).join(', ')}`
    : `Number line of the ${values.length} values`;
  svg.setAttribute('aria-label', label);
}

function draw(
  svg: SVGElement,
  values: Float32Array,
  { codebook, codes }: LineState,
  before?: Float32Array,
): void {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const x = (value: number) => MARGIN + ((value - low) / span) * (WIDTH - 2 * MARGIN);
  const box = (c: number, kind: string) =>
    s('rect', { x: x(c) - 7, y: 12, width: 14, height: 14, rx: 2, class: kind });
  svg.replaceChildren(
    s('line', { x1: 0, x2: WIDTH, y1: BASE, y2: BASE, class: 'base' }),
    ...ticks(low, low + span).map((tick) =>
      s('text', { x: x(tick), y: BASE + 34, class: 'tick' }, String(tick)),
    ),
    ...(codebook && codes
      ? Array.from(values, (value, i) =>
          s('line', {
            x1: x(value),
            y1: BASE,
            x2: x(codebook[codes[i]]),
            y2: 26,
            class: `tie c${codes[i] % 8}`,
          }),
        )
      : []),
    ...[...(before ?? [])].map((c, i) => box(c, `ghost c${i % 8}`)),
    ...Array.from(values, (value, i) =>
      s('circle', { cx: x(value), cy: BASE, r: 6, class: codes ? `c${codes[i] % 8}` : 'none' }),
    ),
    ...[...(codebook ?? [])].map((c, i) => box(c, `c${i % 8}`)),
  );
}

/** Four to eight round numbers from `low` to `high`. */
function ticks(low: number, high: number): number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough)!;
  const all: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) all.push(Number((n * step).toPrecision(3)));
  return all;
}
