// Turns interleaved pixels into the padded NHWC activations that the convolutions read.
//
//   FORMAT 0  uint8 pixels 0..255 -> int8 codes with scale 1/255 and zero point -128: code = pixel - 128, exactly
//   FORMAT 1  uint8 pixels 0..255 -> f32 pixel / 255
//   FORMAT 2  f32 pixels 0..1     -> f32, copied
//
// buffer   shape                             dtype
// input    pixel, channels                   bytes (FORMAT 0, 1; four a u32, first pixel lowest) or f32 bits
// output   pixel, vectors                    FORMAT 0: one u32 of four int8 a vector; FORMAT 1, 2: four f32 bits
//
// One thread writes four channels of one pixel; channels past the last are 0.

const FORMAT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixel_count: u32,
  channels: u32,
  vectors: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

fn byte_at(index: u32) -> u32 {
  return (input[index / 4u] >> ((index % 4u) * 8u)) & 255u;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) count: vec3u) {
  let index = id.x + id.y * count.x * WORKGROUP_SIZE;
  if (index >= params.pixel_count * params.vectors) {
    return;
  }
  let pixel = index / params.vectors;
  let first = (index % params.vectors) * 4u;
  var word = 0u;
  for (var lane = 0u; lane < 4u; lane++) {
    let channel = first + lane;
    let inside = channel < params.channels;
    let at = pixel * params.channels + channel;
    if (FORMAT == 0u) {
      if (inside) {
        word |= (byte_at(at) ^ 128u) << (lane * 8u);
      }
    } else {
      var value = 0u;
      if (inside) {
        if (FORMAT == 1u) {
          value = bitcast<u32>(f32(byte_at(at)) / 255.0);
        } else {
          value = input[at];
        }
      }
      output[index * 4u + lane] = value;
    }
  }
  if (FORMAT == 0u) {
    output[index] = word;
  }
}
