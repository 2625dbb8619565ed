// How the page and the command line word what was measured.
import { expect, test } from 'vitest';
import { decibels as shown } from '../../demo/src/text.ts';
import { decibels as printed } from '../../src/cli/table.ts';

test.each([
  [-0.04, '0.0'],
  [-0, '0.0'],
  [0.04, '0.0'],
  [-0.06, '-0.1'],
  [-12.34, '-12.3'],
  [-10, '-10.0'],
])('%d dB is %s: what rounds to 0 has no sign', (value, text) => {
  expect(shown(value)).toBe(`${text} dB`);
  expect(printed(value)).toBe(text);
});

test('without noise nothing is lost', () => {
  expect([shown(Number.POSITIVE_INFINITY), printed(Number.POSITIVE_INFINITY)]).toEqual(['exact', 'exact']);
});
