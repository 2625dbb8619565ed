import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CIFAR10_CLASSES, CIFAR10_RECORD_BYTES, parseCifar10 } from '../../src/io/cifar10.ts';

describe('parseCifar10', () => {
  test('planes become pixels', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.nat(9),
        fc.nat(1023),
        fc.nat(2),
        (count, label, pixel, colour) => {
          const bytes = Uint8Array.from({ length: count * CIFAR10_RECORD_BYTES }, (_, i) => (i * 31) >> 3);
          for (let image = 0; image < count; image++)
            bytes[image * CIFAR10_RECORD_BYTES] = (label + image) % 10;
          const parsed = parseCifar10(bytes);
          expect([parsed.count, parsed.images.length]).toEqual([count, count * 32 * 32 * 3]);
          for (let image = 0; image < count; image++) {
            expect(parsed.labels[image]).toBe((label + image) % 10);
            const from = image * CIFAR10_RECORD_BYTES + 1 + colour * 1024 + pixel;
            expect(parsed.images[(image * 1024 + pixel) * 3 + colour]).toBe(bytes[from]);
          }
        },
      ),
      { seed: 7 },
    );
  });

  test('refuses other lengths and labels', () => {
    expect(() => parseCifar10(new Uint8Array(3074))).toThrow(/multiple of 3073 bytes; received 3074/);
    expect(() => parseCifar10(new Uint8Array(3073).fill(10))).toThrow(
      /image 0 must be from 0 to 9; received 10/,
    );
    expect(CIFAR10_CLASSES.length).toBe(10);
  });
});
