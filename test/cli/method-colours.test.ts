// A method has one colour: in the pictures of the lab's report and the README, and on the page.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accuracyPlot } from '../../src/cli/accuracy-plot.ts';
import { METHOD_COLOURS, matrices } from '../../src/cli/svg.ts';
import type { CompareRow } from '../../src/run/compare.ts';

const root = join(import.meta.dirname, '../..');
const NAMES = ['fp32', 'kmeans-8', 'kmeans-4', 'kmeans-2-qat', 'linear-8', 'linear-2-qat'];
const rows = NAMES.map((name, i) => {
  const measured = { accuracy: 0.9 - i / 10, accuracyLow: 0.3, accuracyHigh: 0.95 };
  return { name, method: name.split('-')[0], sizeBytes: 2 ** (20 + i), status: 'ok', ...measured };
}) as unknown as CompareRow[];

test('the page’s light theme has the pictures’ colours', async () => {
  const css = await readFile(join(root, 'demo/src/style.css'), 'utf8');
  const light = /^:root \{([^}]*)\}/m.exec(css)![1];
  for (const [method, colour] of Object.entries(METHOD_COLOURS))
    expect(light).toContain(`--${method}: ${colour};`);
});

test('points of a method have its colour whatever comes before them, fine-tuned ones as rings', () => {
  for (const some of [rows, rows.slice(1), rows.toReversed(), rows.slice(4)]) {
    const svg = accuracyPlot('t', some);
    const points = [...svg.matchAll(/<circle [^>]*r="5" ([^>]*)><title>([^:]*):/g)];
    expect(points.map(([, , name]) => name).sort()).toEqual(some.map(({ name }) => name).sort());
    for (const [, paint, name] of points) {
      const colour = METHOD_COLOURS[name.split('-')[0] as keyof typeof METHOD_COLOURS];
      const ring = name.endsWith('-qat');
      expect(paint, name).toBe(ring ? `fill="#fff" stroke="${colour}" stroke-width="2"` : `fill="${colour}"`);
    }
  }
});

test('what is drawn beside them has a colour that no method has', () => {
  const svg = matrices('t', [{ title: 'm', values: [1, -1], columns: 2, digits: 1 }]);
  for (const colour of Object.values(METHOD_COLOURS)) expect(svg).not.toContain(colour);
});

test('the pictures in docs/ have them', async () => {
  const svg = await readFile(join(root, 'docs/accuracy.svg'), 'utf8');
  for (const [, paint, name] of svg.matchAll(/<circle [^>]*r="5" ([^>]*)><title>([^:]*):/g))
    expect(paint, name).toContain(METHOD_COLOURS[name.split('-')[0] as keyof typeof METHOD_COLOURS]);
});
