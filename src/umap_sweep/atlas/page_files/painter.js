// Draws points into a square canvas: `paint` by the processor, for the small panels, for saved pictures, and for the
// large picture where there is no graphics card, and `GraphicsCard` by WebGL 2. Both take the same description of a
// picture: {positions, levels, states, palette, parts, fading, view: {x, y, zoom}, background, faded}. Parts are drawn one
// over the other: {from, to, size, opacity, plain}, the first and the end of their points; `plain` is the one colour of all
// points of a part, where it has one.

const FULL = 65535; // coordinates are uint16; this one stands for a point that has no place
const FILL = 0.94; // share of a panel's side that the points take at zoom 1
const HIDDEN = 0;
const FADED = 1;
const SHOWN = 2;

// Smaller dots than this are squares; larger ones are round, with a smooth rim.
const SMALLEST_ROUND = 2.5;

const images = new WeakMap(); // of each canvas, to use again

function paint(canvas, picture) {
  const pixels = canvas.width;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let image = images.get(canvas);
  if (image?.width !== pixels) images.set(canvas, (image = context.createImageData(pixels, pixels)));
  const { data } = image;
  const { positions, levels, states: stateOf, palette: swatches, view } = picture;
  const [red, green, blue] = picture.background;
  new Uint32Array(data.buffer).fill(new Uint32Array(new Uint8Array([red, green, blue, 255]).buffer)[0]);

  const scale = (FILL * view.zoom * pixels) / FULL;
  for (const [drawn, part] of passesOf(picture)) {
    const { width, cover: dot } = dotOf(part);
    const left = pixels * (0.5 - FILL * view.zoom * view.x) - width / 2 + 0.5;
    const top = pixels * (0.5 + FILL * view.zoom * view.y) - width / 2 + 0.5;
    let [r, g, b] = drawn === FADED ? picture.faded : (part.plain ?? picture.faded);
    for (let point = part.from; point < part.to; point += 1) {
      const unitX = positions[2 * point];
      if (stateOf[point] !== drawn || unitX === FULL) continue;
      const column = Math.floor(left + unitX * scale);
      const row = Math.floor(top - positions[2 * point + 1] * scale);
      if (column <= -width || row <= -width || column >= pixels || row >= pixels) continue;
      if (drawn === SHOWN && !part.plain) {
        const colour = 4 * levels[point];
        r = swatches[colour];
        g = swatches[colour + 1];
        b = swatches[colour + 2];
      }
      const lastRow = Math.min(row + width, pixels);
      const lastColumn = Math.min(column + width, pixels);
      for (let y = Math.max(row, 0); y < lastRow; y += 1) {
        for (let x = Math.max(column, 0); x < lastColumn; x += 1) {
          const cover = dot[(y - row) * width + x - column];
          const place = 4 * (y * pixels + x);
          data[place] += (r - data[place]) * cover;
          data[place + 1] += (g - data[place + 1]) * cover;
          data[place + 2] += (b - data[place + 2]) * cover;
        }
      }
    }
  }
  context.putImageData(image, 0, 0);
}

// What is drawn one over the other: faded points of all parts, and then those that are shown.
const passesOf = ({ fading, parts }) =>
  (fading ? [FADED, SHOWN] : [SHOWN]).flatMap((drawn) => parts.map((part) => [drawn, part]));

// A dot as a square of `width` pixels, with how much of each it covers.
function dotOf({ size, opacity }) {
  const width = Math.max(Math.round(size), 1);
  const cover = new Float32Array(width * width);
  for (let place = 0; place < cover.length; place += 1) {
    const [x, y] = [(place % width) + 0.5 - width / 2, Math.floor(place / width) + 0.5 - width / 2];
    cover[place] = opacity * (size < SMALLEST_ROUND ? 1 : clamp(size / 2 - Math.hypot(x, y) + 0.5, 0, 1));
  }
  return { width, cover };
}

const VERTEX = `#version 300 es
in vec2 position;       // 0 to 1; exactly 1 where a point has no place
in float level;         // row of the palette
in float state;
uniform sampler2D palette;
uniform vec3 view;      // middle x and y, scale
uniform float drawn;    // the state to draw now
uniform float size;     // diameter in pixels
uniform vec4 plain;     // one colour of all points, and their opacity
uniform bool isPlain;   // whether they have it, and not those of their levels
out vec4 colour;
void main() {
  if (state != drawn || position.x == 1.0) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // outside
    gl_PointSize = 1.0;
    return;
  }
  gl_Position = vec4((position - view.xy) * view.z, 0.0, 1.0);
  gl_PointSize = size;
  colour = isPlain ? plain : vec4(texelFetch(palette, ivec2(int(level), 0), 0).rgb, plain.a);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour;
uniform float size;
out vec4 result;
void main() {
  float rim = (0.5 - distance(gl_PointCoord, vec2(0.5))) * size;  // pixels from here to the rim
  float cover = size < ${SMALLEST_ROUND} ? 1.0 : clamp(rim + 0.5, 0.0, 1.0);
  result = vec4(colour.rgb, colour.a * cover);
}`;

class GraphicsCard {
  // Null where there is none. One that the processor imitates is slower than `paint`, and Chromium does not own up to
  // it when asked (failIfMajorPerformanceCaveat), but by its name. Another canvas is tried, and then left alone.
  static of(canvas) {
    const tried = document.createElement('canvas').getContext('webgl2');
    const named = tried?.getExtension('WEBGL_debug_renderer_info');
    const name = tried?.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : tried.RENDERER) ?? '';
    tried?.getExtension('WEBGL_lose_context')?.loseContext();
    if (!tried || /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name)) return null;
    return GraphicsCard.on(canvas);
  }

  static on(canvas) {
    const gl = canvas.getContext('webgl2', { alpha: false, antialias: false });
    return gl && new GraphicsCard(gl);
  }

  constructor(gl) {
    this.gl = gl;
    this.buffers = new Map();
    const program = gl.createProgram();
    const sources = [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ];
    for (const [kind, source] of sources) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    ['position', 'level', 'state'].forEach((name, place) => {
      gl.bindAttribLocation(program, place, name);
      gl.enableVertexAttribArray(place);
    });
    gl.linkProgram(program);
    gl.useProgram(program);
    const names = ['view', 'drawn', 'size', 'plain', 'isPlain'];
    this.uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  }

  // Bind an array's buffer, made where it is new or its values have changed since.
  bind(values) {
    const { gl } = this;
    const known = this.buffers.get(values);
    const buffer = known ?? gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    if (!known) gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    this.buffers.set(values, buffer);
  }

  forget(values) {
    this.gl.deleteBuffer(this.buffers.get(values) ?? null);
    this.buffers.delete(values);
  }

  draw(picture) {
    const { gl, uniforms } = this;
    const share = (colour) => colour.map((value) => value / 255);
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(...share(picture.background), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, picture.palette);
    this.bind(picture.positions);
    gl.vertexAttribPointer(0, 2, gl.UNSIGNED_SHORT, true, 0, 0);
    this.bind(picture.levels);
    gl.vertexAttribPointer(1, 1, gl.UNSIGNED_BYTE, false, 0, 0);
    this.bind(picture.states);
    gl.vertexAttribPointer(2, 1, gl.UNSIGNED_BYTE, false, 0, 0);
    gl.uniform3f(uniforms.view, picture.view.x, picture.view.y, 2 * FILL * picture.view.zoom);
    for (const [drawn, part] of passesOf(picture)) {
      const plain = drawn === FADED ? picture.faded : part.plain;
      gl.uniform1i(uniforms.isPlain, plain ? 1 : 0);
      gl.uniform4f(uniforms.plain, ...share(plain ?? picture.faded), part.opacity);
      gl.uniform1f(uniforms.size, part.size);
      gl.uniform1f(uniforms.drawn, drawn);
      gl.drawArrays(gl.POINTS, part.from, part.to - part.from);
    }
  }
}
