// A client over gRPC in Node: starts a script, prints its output as it comes, and exits as it does.
//
//   npm install && node client.mjs PROTO_FOLDER SCHEDULER SCRIPT [ARGUMENT ...]
//
// PROTO_FOLDER is proto/ of the source or share/clusterd/proto of an installation.
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [folder, address, path, ...args] = process.argv.slice(2);
const definition = loader.loadSync("clusterd/v1/scheduler_service.proto", {
  includeDirs: [folder], keepCase: true, longs: Number, enums: String, oneofs: true,
});
const { clusterd } = grpc.loadPackageDefinition(definition);
const scheduler = new clusterd.v1.SchedulerService(address, grpc.credentials.createInsecure());
const soon = (seconds) => ({ deadline: Date.now() + seconds * 1000 });
const call = (name, request) =>
  promisify((done) => scheduler[name](request, soon(60), done))();
const pause = () => new Promise((resume) => setTimeout(resume, 500));

// Each byte once and in order; a cut is no end.
async function follow(jobId) {
  let offset = 0;
  for (let complete = false; !complete;) {
    const stream = scheduler.StreamJob({ job_id: jobId, follow: true, offset }, soon(3600));
    try {
      for await (const { frame, end } of stream) {
        if (frame) {
          process.stdout.write(frame.data.subarray(Math.max(0, offset - frame.offset)));
          offset = frame.offset + frame.data.length;
        }
        complete ||= Boolean(end?.complete);
      }
    } catch (error) {
      if (error.code !== grpc.status.UNAVAILABLE) throw error;
    }
    if (!complete) await pause();
  }
}

let job = await call("StartJob", {
  request_id: randomUUID(), // repeated, it is the same job
  spec: { path, command: "bash", args },
});
await follow(job.job_id);
while (!job.end) job = await call("WaitJob", { job_id: job.job_id });
if (job.state !== "SUCCEEDED") console.error(job.state, job.end.message);
process.exitCode = job.state === "SUCCEEDED" ? 0 : job.end.exit_code || 1;
