// The frame of preprocess-image and preprocess-image-texture: one pixel of the result and where it goes. Needs of the
// kernel the bindings spans, weights, values and output, and
//
//   fn pixel_at(x: u32, y: u32) -> vec4i     red, green, blue and alpha of the source, bytes

struct Params {
  width: u32,
  height: u32,
  source_width: u32,
  channels: u32,
  reversed: u32,
  taps: u32,
  offset: u32,
  pixel_stride: u32,
  channel_stride: u32,
}

const HALF: i32 = 1 << 21u;

/// A sum of bytes by weights of 2^-22, as bytes.
fn bytes_of(sum: vec4i) -> vec4i {
  return clamp(sum >> vec4u(22u), vec4i(0), vec4i(255));
}

fn coloured(pixel: vec4i) -> vec4i {
  if (params.channels == 1u) {
    return vec4i((pixel.x * 19595 + pixel.y * 38470 + pixel.z * 7471 + 0x8000) >> 16u);
  }
  return pixel;
}

fn preprocess(index: u32) {
  if (index >= params.width * params.height) {
    return;
  }
  let column = index % params.width;
  let row = params.width + index / params.width;
  let across = spans[column];
  let down = spans[row];
  var sum = vec4i(HALF);
  for (var j = 0u; j < down.y; j++) {
    var narrow = vec4i(HALF);
    for (var i = 0u; i < across.y; i++) {
      narrow += weights[column * params.taps + i] * coloured(pixel_at(across.x + i, down.x + j));
    }
    sum += weights[row * params.taps + j] * bytes_of(narrow);
  }
  let pixel = bytes_of(sum);
  for (var channel = 0u; channel < params.channels; channel++) {
    let lane = select(channel, 2u - channel, params.reversed == 1u && channel < 3u);
    let at = params.offset + index * params.pixel_stride + channel * params.channel_stride;
    output[at] = values[channel * 256u + u32(pixel[lane])];
  }
}
