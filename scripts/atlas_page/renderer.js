// Draws points with WebGL 2. One context serves all cells: the small panels are drawn side by side on the large picture's
// canvas and copied from there, and the large picture is drawn over them before the browser shows anything.

const VERTEX = `#version 300 es
in vec2 position;       // 0 to 1; exactly 1 where a point has no place
in float level;         // row of the palette
in float state;         // FADED, SHOWN, or anything else for a hidden point
uniform sampler2D palette;
uniform vec4 view;      // middle x and y, scale x and y
uniform float drawn;    // the state to draw now
uniform float size;     // diameter in pixels
uniform vec4 plain;     // colour of faded points
out vec4 colour;
void main() {
  if (state != drawn || position.x == 1.0) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // outside
    gl_PointSize = 1.0;
    return;
  }
  gl_Position = vec4((position - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = size;
  colour = drawn == 1.0 ? plain : vec4(texelFetch(palette, ivec2(int(level), 0), 0).rgb, plain.a);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour;
uniform float size;
out vec4 result;
void main() {
  float edge = (0.5 - distance(gl_PointCoord, vec2(0.5))) * size;  // pixels from the rim inwards
  float cover = size < 2.5 ? 1.0 : clamp(edge + 0.5, 0.0, 1.0);
  result = vec4(colour.rgb, colour.a * cover);
}`;

const HIDDEN = 0;
const FADED = 1;
const SHOWN = 2;

class Renderer {
  constructor(canvas) {
    const gl = canvas.getContext('webgl2', { alpha: false, antialias: false, powerPreference: 'high-performance' });
    if (!gl) throw new Error('no WebGL 2');
    this.canvas = canvas;
    this.gl = gl;
    this.buffers = new Map();
    this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    ['position', 'level', 'state'].forEach((name, place) => {
      gl.bindAttribLocation(this.program, place, name);
      gl.enableVertexAttribArray(place);
    });
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) {
      throw new Error(gl.getProgramInfoLog(this.program) || 'the context was lost');
    }
    gl.useProgram(this.program);
    this.uniforms = {};
    for (const name of ['view', 'drawn', 'size', 'plain']) {
      this.uniforms[name] = gl.getUniformLocation(this.program, name);
    }
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.SCISSOR_TEST);
  }

  // Give the graphics card an array once; `again` gives it changed values.
  upload(values, again = false) {
    const gl = this.gl;
    const known = this.buffers.get(values);
    const buffer = known ?? gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    if (!known || again) gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    this.buffers.set(values, buffer);
  }

  // `colours` is RGBA, 256 of them.
  setPalette(colours) {
    const gl = this.gl;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colours);
  }

  // Draw a square of `side` pixels, `left` and `top` pixels from the canvas's corner.
  // what: {positions, levels, states, points, fading, view: {x, y, zoom}, size, background, faded, opacity}
  draw(side, what, left = 0, top = 0) {
    const gl = this.gl;
    const square = [left, this.canvas.height - top - side, side, side];
    gl.viewport(...square);
    gl.scissor(...square);
    gl.clearColor(...what.background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.upload(what.positions);
    gl.vertexAttribPointer(0, 2, gl.UNSIGNED_SHORT, true, 0, 0);
    this.upload(what.levels);
    gl.vertexAttribPointer(1, 1, gl.UNSIGNED_BYTE, false, 0, 0);
    this.upload(what.states);
    gl.vertexAttribPointer(2, 1, gl.UNSIGNED_BYTE, false, 0, 0);
    const scale = 2 * FILL * what.view.zoom;
    gl.uniform4f(this.uniforms.view, what.view.x, what.view.y, scale, scale);
    gl.uniform1f(this.uniforms.size, what.size);
    for (const state of what.fading ? [FADED, SHOWN] : [SHOWN]) {
      gl.uniform1f(this.uniforms.drawn, state);
      gl.uniform4f(this.uniforms.plain, ...what.faded, what.opacity);
      gl.drawArrays(gl.POINTS, 0, what.points);
    }
  }
}
