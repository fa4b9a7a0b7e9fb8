"""Reading companies and fleets. Whatever is asked takes the company first and answers nothing of another one."""
