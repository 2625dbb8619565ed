/** CPU twin of shaders/kmeans-accumulate-wide.wgsl, which computes what kmeans-accumulate does for more centroids. */
export { kmeansAccumulate as kmeansAccumulateWide } from './kmeans-accumulate.ts';
