"""
verdict: no-leak
command: -- sh -c 'i=0; while [ $i -lt 80 ]; do i=$((i+1)); sleep 0.1; done'
why: a command without Python, judged from outside.
"""
