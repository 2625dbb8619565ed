/** What a twin reads and writes by its binding's name: one number an element, whatever its type on the GPU. */
export type TwinBuffers = Record<string, Float64Array>;
/** A dispatch's params, by name. */
export type TwinParams = Record<string, number>;
/** Its overrides and constants. */
export type TwinSpecialization = Record<string, number | string>;

/** CPU twin of a dispatch of a kernel of lloyd/onnx: reads and writes `buffers` as the shader does, in float64. */
export type Twin = (buffers: TwinBuffers, params: TwinParams, specialization: TwinSpecialization) => void;
