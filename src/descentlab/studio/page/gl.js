// WebGL2 by hand: programs, buffers, matrices.

/** Compile a program; throws the driver's words if it does not. */
export function glProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, `#version 300 es\nprecision highp float;\n${source}`);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
  const places = new Map();
  return {
    program,
    at(name) {
      if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name));
      return places.get(name);
    },
  };
}

/** Make a vertex array of interleaved floats: sizes of its attributes 0, 1, …; indices of its triangles. */
export function glMesh(gl, data, sizes, indices) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  const buffers = [gl.createBuffer(), gl.createBuffer()];
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers[0]);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  const stride = 4 * sizes.reduce((a, b) => a + b, 0);
  let offset = 0;
  sizes.forEach((size, i) => {
    gl.enableVertexAttribArray(i);
    gl.vertexAttribPointer(i, size, gl.FLOAT, false, stride, offset);
    offset += 4 * size;
  });
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[1]);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
  gl.bindVertexArray(null);
  return {
    array,
    count: indices.length,
    free() {
      gl.deleteVertexArray(array);
      buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    },
  };
}

/** Put a picture (canvas) or an array of RGBA bytes into a texture. */
export function glTexture(gl, picture, width = 0, height = 0) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, width === 0);
  if (width) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, picture);
  else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
  for (const [name, value] of [["MIN_FILTER", "LINEAR"], ["MAG_FILTER", width ? "LINEAR" : "NEAREST"], ["WRAP_S", "CLAMP_TO_EDGE"], ["WRAP_T", "CLAMP_TO_EDGE"]]) {
    gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}`], gl[value]);
  }
  return texture;
}

/** Multiply two 4 × 4 matrices, columns first. */
export function glTimes(a, b) {
  const out = new Float32Array(16);
  for (let c = 0; c < 4; c++) {
    for (let r = 0; r < 4; r++) out[4 * c + r] = a[r] * b[4 * c] + a[4 + r] * b[4 * c + 1] + a[8 + r] * b[4 * c + 2] + a[12 + r] * b[4 * c + 3];
  }
  return out;
}

/** A perspective looking at a point a little below the origin from an azimuth, an elevation and a distance; z is up. */
export function glCamera({ azimuth, elevation, distance }, aspect) {
  const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
  const eye = [distance * ce * sa, -distance * ce * ca, distance * se - 0.14];
  const right = [ca, sa, 0];
  const up = [-se * sa, se * ca, ce];
  const back = [ce * sa, -ce * ca, se];
  const dot = (v) => -(v[0] * eye[0] + v[1] * eye[1] + v[2] * eye[2]);
  const look = new Float32Array([right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0, dot(right), dot(up), dot(back), 1]);
  const focal = 1 / Math.tan(0.36);
  const [near, far] = [0.1, 20];
  const wide = Math.min(aspect, 1);
  const project = new Float32Array([(focal * wide) / aspect, 0, 0, 0, 0, focal * wide, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0]);
  return { matrix: glTimes(project, look), eye, back };
}
