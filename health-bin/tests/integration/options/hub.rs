//! What of a hub's configuration agents feel: the bounds of what they declare.

use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

#[tokio::test]
async fn pitfall_41_the_bounds_of_the_timeout_have_an_effect() {
    for (bounds, counted) in [
        ("", 30.0),
        ("timeoutMin: 40s", 40.0),
        ("timeoutMax: 20s", 20.0),
    ] {
        let hub = format!(
            "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
heartbeat: {{ {bounds} }}
"
        );
        let hub = Program::start("hub", &hub, &[]);
        let (server, ops) = (hub.address("tunnels").await, hub.address("ops").await);
        let agent = format!(
            "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
heartbeat: {{ timeout: 30s, websocket: {{ url: 'ws://{server}/tunnel' }} }}
"
        );
        let _agent = Program::start("run", &agent, &[]);
        let found = eventually("the agent declares its timeout", secs(20), || async {
            let agent = get(ops, "/fleet/-/edge-1", &[]).await?;
            let agent = (agent.status == 200).then(|| agent.json())?;
            (agent["heartbeats"] != 0).then_some(agent)
        })
        .await;
        assert_eq!(found["timeoutSeconds"], counted, "{bounds}: {found}");
    }
}
