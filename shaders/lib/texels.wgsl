// Where texel i of a texture of src/gpu/texels.ts is: rows of 4096, one after the other.

fn texel_at(index: u32) -> vec2u {
  return vec2u(index & 4095u, index >> 12u);
}
