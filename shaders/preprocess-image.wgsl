// Makes an image network's input of a picture's RGBA bytes: a part of it, resized, normalized, in the network's layout.
//
//   narrow[x, v, c] = byte(sum over t of weights[x, t] * source[spans[x].first + t, v, c])
//   pixel[x, y, c]  = byte(sum over t of weights[width + y, t] * narrow[x, spans[width + y].first + t, c])
//   output[offset + (y * width + x) * pixel_stride + c * channel_stride] = values[c, pixel[x, y, reversed ? 2 - c : c]]
//   byte(sum)       = clamp((sum + 2^21) >> 22, 0, 255)
//
// buffer   shape                              dtype
// source   source_height, source_width        u32: red, green, blue and alpha, red lowest, as a canvas's ImageData
// spans    width + height                     vec2u: the first of the samples that one is made of, and how many; columns, then rows
// weights  width + height, taps               i32 in units of 2^-22, what a span has not is never read
// values   channels, 256                      f32: what each byte of each channel of the output becomes
// output   batch, then by the strides         f32; `offset` is where the picture begins
//
// One thread makes one pixel. It sums each row anew that the pixel above it has summed already: shrunk by s in both
// directions, a bilinear pixel reads (2s)^2 of the source instead of the 2s^2 + 2s that two dispatches would read and
// write, in exchange for no buffer between them; enlarged, it reads four.
//
// With the tables of src/reference/preprocess-image.ts, bytes are those that Pillow makes (Image.resize with a box,
// BILINEAR or BICUBIC), whose weights are integers and whose rows become bytes before columns do; |sum| stays below
// 1.25 * 255 * 2^22 + 2^21 < 2^31. Of one channel, pixels are made grey first: (19595 r + 38470 g + 7471 b + 2^15) >> 16.
// `values` instead of arithmetic, as WGSL lets a division be wrong by 2.5 ULP: the floats are those of the host, to the
// bit. Alpha is a channel like the others, or left out.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> spans: array<vec2u>;
@group(0) @binding(3) var<storage, read> weights: array<i32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn pixel_at(x: u32, y: u32) -> vec4i {
  let word = source[y * params.source_width + x];
  return vec4i((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  preprocess(id.x + id.y * grid.x * WORKGROUP_SIZE);
}
