create table note (id serial primary key, text text not null, heard int not null default 0);
