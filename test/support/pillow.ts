import type { Crop, Interpolation } from '../../src/reference/preprocess-image.ts';

interface Options {
  size: { width: number; height: number };
  crop?: Crop;
  interpolation?: Interpolation;
  channels?: 1 | 3;
}

export const PILLOW_SOURCE = { width: 9, height: 7 };
/** RGBA, of which Pillow had no alpha. */
export const PILLOW_PICTURE = Uint8Array.from({ length: 9 * 7 * 4 }, (_, i) => {
  const [c, x, y] = [i % 4, Math.floor(i / 4) % 9, Math.floor(i / 36)];
  return (x * x * 37 + y * 91 + c * 53 + x * y * 11) % 256;
});

/**
 * What Pillow 12.3.0 makes of this picture, printed by it: ImageOps.fit(image, size, filter) and
 * image.resize(size, filter, box=...), of RGB, and of convert('L').
 */
export const PILLOW: [name: string, options: Options, bytes: number[]][] = [
  [
    'fit, bilinear',
    { size: { width: 4, height: 4 } },
    [
      85, 132, 179, 123, 146, 142, 121, 122, 99, 113, 111, 106, 149, 114, 146, 137, 141, 130, 133, 142, 126,
      107, 134, 142, 134, 160, 121, 141, 146, 125, 154, 104, 131, 108, 155, 91, 107, 160, 148, 129, 152, 126,
      114, 104, 154, 102, 105, 134,
    ],
  ],
  [
    'fit, bicubic',
    { size: { width: 3, height: 5 }, interpolation: 'bicubic' },
    [
      114, 166, 170, 125, 120, 123, 112, 124, 83, 97, 156, 141, 146, 120, 123, 139, 140, 119, 168, 139, 107,
      169, 109, 124, 95, 125, 131, 128, 184, 116, 168, 106, 150, 159, 127, 121, 103, 155, 115, 129, 131, 171,
      100, 75, 136,
    ],
  ],
  [
    'a box of fractions, bilinear',
    { size: { width: 5, height: 3 }, crop: { x: 2.25, y: 0.5, width: 6.75, height: 5.5 } },
    [
      100, 153, 147, 145, 117, 120, 123, 128, 102, 135, 121, 110, 161, 124, 98, 148, 135, 130, 152, 123, 129,
      129, 137, 126, 76, 125, 130, 96, 144, 124, 134, 176, 112, 157, 125, 137, 142, 111, 140, 115, 152, 109,
      107, 160, 109,
    ],
  ],
  [
    'a box, bicubic',
    {
      ...{ size: { width: 11, height: 2 }, crop: { x: 1, y: 3, width: 4, height: 4 } },
      interpolation: 'bicubic',
    },
    [
      123, 162, 115, 141, 162, 107, 156, 141, 118, 167, 117, 133, 166, 115, 134, 147, 147, 119, 129, 178, 105,
      132, 169, 110, 152, 129, 129, 168, 95, 145, 174, 89, 148, 101, 156, 159, 97, 153, 175, 105, 164, 158,
      117, 179, 130, 120, 180, 113, 113, 171, 104, 108, 167, 104, 122, 153, 117, 155, 134, 145, 173, 118, 168,
      149, 110, 173,
    ],
  ],
  [
    'the whole, bilinear',
    { size: { width: 2, height: 9 }, crop: { x: 0, y: 0, width: 9, height: 7 } },
    [
      79, 132, 167, 73, 126, 132, 103, 132, 148, 143, 107, 96, 129, 138, 139, 155, 134, 109, 147, 137, 135,
      117, 162, 144, 147, 106, 112, 80, 97, 132, 127, 145, 142, 127, 137, 95, 143, 170, 115, 137, 152, 119,
      132, 163, 117, 121, 132, 144, 77, 126, 179, 94, 86, 139,
    ],
  ],
  [
    'grey, fit, bilinear',
    { size: { width: 4, height: 3 }, channels: 1 },
    [124, 135, 123, 127, 131, 139, 125, 121, 149, 145, 120, 133],
  ],
];
