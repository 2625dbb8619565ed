import type { OptionDeclaration } from './command.ts';

export const SHAPE: OptionDeclaration = [
  '--shape <symbol=n,...>',
  "Sizes of an input's symbols, and whole shapes (image=1x3x224x224); may be given again",
];

export const CONSTANT: OptionDeclaration = [
  '--constant <input=n,...>',
  'What inputs of an ONNX network are in every run (sr=16000), an If on them the branch that it takes; may be given again',
];

/** The options of what turns pictures into a network's input. */
export const PICTURE_OPTIONS: readonly OptionDeclaration[] = [
  ['--size <WxH>', 'Size of the pictures: scaled to cover it, the middle cut out', "the input's"],
  ['--mean <a,b,c>', 'Taken from each channel of pixels/255 (one value for all)', '0'],
  ['--std <a,b,c>', 'What each channel is divided by then; 0.00392156862745098 gives 0 to 255', '1'],
  ['--layout <name>', 'nchw or nhwc', "as the input's shape looks"],
  ['--order <name>', 'rgb or bgr: the channels of the network, of --mean and of --std', 'rgb'],
  ['--interpolation <name>', 'bilinear or bicubic, as Pillow resizes', 'bilinear'],
];

/** The options of what gives a network inputs to run on. */
export const sampleOptions = (most: number): readonly OptionDeclaration[] => [
  [
    '--calibration <what>',
    'What it is run on: N CIFAR-10 training images, a folder of PNG or JPEG pictures, or tensors by input name in a .npz, .npy or .safetensors file',
  ],
  ['--samples <n>', 'At most so many of the pictures or tensors, evenly spread', String(most)],
  ...PICTURE_OPTIONS,
  SHAPE,
  CONSTANT,
];
