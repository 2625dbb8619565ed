/** Where an image is taken from: shifted by rows and columns, and mirrored. */
export interface Placement {
  down: number;
  right: number;
  flip: boolean;
}

/**
 * The CPU twin of `shaders/augment-images.wgsl`: NHWC bytes in, NHWC values 0 to 1 out.
 *
 * @example
 * augmentImages(pixels, [{ down: 1, right: 0, flip: true }], { height: 32, width: 32, channels: 3 });
 */
export function augmentImages(
  input: Uint8Array,
  placements: readonly Placement[],
  { height, width, channels }: { height: number; width: number; channels: number },
): Float64Array {
  const output = new Float64Array(input.length);
  for (let i = 0; i < output.length; i++) {
    const pixel = Math.floor(i / channels);
    const n = Math.floor(pixel / (width * height));
    const { down, right, flip } = placements[n];
    const column = pixel % width;
    const x = (flip ? width - 1 - column : column) + right;
    const y = (Math.floor(pixel / width) % height) + down;
    if (y < 0 || x < 0 || y >= height || x >= width) continue;
    output[i] = input[((n * height + y) * width + x) * channels + (i % channels)] / 255;
  }
  return output;
}
