// How pixels are dealt out where one workgroup has one tile of channels: WORKGROUP_SIZE threads of TILE_PIXELS pixels,
// block after block, and then the next tile. Needs of the kernel: const TILE_PIXELS and override WORKGROUP_SIZE.

fn block_count(pixel_count: u32) -> u32 {
  return (pixel_count + TILE_PIXELS * WORKGROUP_SIZE - 1u) / (TILE_PIXELS * WORKGROUP_SIZE);
}

fn first_pixel(block: u32, local: u32) -> u32 {
  return (block * WORKGROUP_SIZE + local) * TILE_PIXELS;
}
